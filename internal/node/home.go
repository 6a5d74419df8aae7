package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/door/api"
)

// Names of files in the home folder. What else lies there belongs to the
// catalog (adapter/store).
const (
	ConfigFile     = "config.toml"
	KeyFile        = "node.key"
	CatalogFile    = "shoal.db"
	TorrentsFolder = "torrents"  // the .torrent of every share: the truth behind the catalog
	GroupsFolder   = "groups"    // member lists and tickets
	DHTFile        = "dht.state" // nodes of the DHT that answered in the last run
	TokenFile      = "api.token"
	SocketFile     = "api.sock"
	SocketPathFile = "api.sock.path" // names the socket when it can't lie in the home
	LockFile       = "lock"
)

// Home is the folder that holds all that one node keeps.
type Home struct {
	Dir string // absolute
}

// HomeDir chooses the home folder: the flag if given, else SHOAL_HOME, else the
// system's folder for application data. getenv is os.Getenv.
func HomeDir(flag string, getenv func(string) string) (string, error) {
	dir := flag
	if dir == "" {
		dir = getenv("SHOAL_HOME")
	}
	if dir == "" {
		base, err := dataDir(getenv)
		if err != nil {
			return "", api.Errorf(api.Path, "home folder", "%w", err).Try("name one with --home DIR or SHOAL_HOME")
		}
		dir = filepath.Join(base, "shoal")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", api.Errorf(api.Path, dir, "its absolute path cannot be found: %w", err)
	}
	return abs, nil
}

// dataDir is the folder in which programs keep data for the person.
func dataDir(getenv func(string) string) (string, error) {
	switch runtime.GOOS {
	case "windows":
		if d := getenv("LOCALAPPDATA"); d != "" {
			return d, nil
		}
		return "", errors.New("LOCALAPPDATA is not set")
	case "darwin", "ios":
		if h := getenv("HOME"); h != "" {
			return filepath.Join(h, "Library", "Application Support"), nil
		}
	default:
		// The XDG specification wants a relative path to be ignored.
		if d := getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
			return d, nil
		}
		if h := getenv("HOME"); h != "" {
			return filepath.Join(h, ".local", "share"), nil
		}
	}
	return "", errors.New("HOME is not set")
}

// OpenHome makes the home folder (0700) at its first use. One that exists and
// is empty or a home already is closed to others; a folder that holds other
// things keeps its mode, as the files with secrets have their own.
func OpenHome(dir string) (*Home, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, api.Errorf(api.Path, dir, "the home folder cannot be made: %w", unwrapPath(err)).Try("choose another with --home DIR")
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, api.Errorf(api.Path, dir, "the home folder cannot be read: %w", unwrapPath(err))
	}
	h := &Home{Dir: dir}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" && h.ours() {
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, api.Errorf(api.Path, dir, "the home folder is open to others and cannot be closed: %w", unwrapPath(err))
		}
	}
	return h, nil
}

// Path is the path of a file in the home.
func (h *Home) Path(name string) string { return filepath.Join(h.Dir, name) }

// ours says whether the folder is a home, or empty.
func (h *Home) ours() bool {
	for _, name := range []string{LockFile, ConfigFile, CatalogFile, KeyFile} {
		if _, err := os.Lstat(h.Path(name)); err == nil {
			return true
		}
	}
	f, err := os.Open(h.Dir)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(1)
	return len(names) == 0
}

// maxSocketPath is the longest path that every system takes for a socket
// (sun_path is 104 bytes on macOS and the BSDs, 108 on Linux, with a final 0)
// less the room that listening under a temporary name needs.
const maxSocketPath = 96

// SocketPath is where the API's socket lies: in the home, or, if its path would
// be too long there, in the runtime folder.
func (h *Home) SocketPath(getenv func(string) string) string {
	p := h.Path(SocketFile)
	if len(p) <= maxSocketPath {
		return p
	}
	return filepath.Join(runtimeDir(getenv), "shoal-"+shortHash(h.Dir)+".sock")
}

// FindSocket is where the socket of the node that runs for this home lies: what
// api.sock.path names if it is there, else api.sock.
func (h *Home) FindSocket() string {
	if b, err := readSmall(h.Path(SocketPathFile)); err == nil {
		if p := strings.TrimSpace(string(b)); filepath.IsAbs(p) {
			return p
		}
	}
	return h.Path(SocketFile)
}

// NoteSocket keeps api.sock.path in step with where the socket lies.
func (h *Home) NoteSocket(path string) error {
	note := h.Path(SocketPathFile)
	if path == h.Path(SocketFile) {
		if err := os.Remove(note); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("node: %s: %w", note, err)
		}
		return nil
	}
	if err := ownFolder(filepath.Dir(path)); err != nil {
		return err
	}
	return disk.Replace(note, []byte(path+"\n"), 0o600)
}

// ownFolder makes a folder that nobody else can put anything in, or sees to it that the
// one that is there is such: in the system's temporary folder another person may have made
// it before. Only its owner can change its mode.
func ownFolder(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	info, serr := os.Lstat(dir)
	if err == nil {
		err = serr
	}
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err == nil && runtime.GOOS != "windows" {
		err = os.Chmod(dir, 0o700)
	}
	if err != nil {
		return api.Errorf(api.Path, dir, "the socket cannot lie in this folder: %w", unwrapPath(err)).Try("remove it, or choose a --home with a shorter path")
	}
	return nil
}

// runtimeDir is a short folder for sockets: XDG_RUNTIME_DIR if there is one,
// else one of our own beneath the system's temporary folder.
func runtimeDir(getenv func(string) string) string {
	if d := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) && len(d) < 60 {
		if info, err := os.Stat(d); err == nil && info.IsDir() {
			return d
		}
	}
	tmp := os.TempDir()
	if len(tmp) > 50 && runtime.GOOS != "windows" {
		tmp = "/tmp"
	}
	return filepath.Join(tmp, fmt.Sprintf("shoal-%d", os.Getuid()))
}

// unwrapPath takes the path out of an error, where the message names it already.
func unwrapPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

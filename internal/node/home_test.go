package node

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/door/api"
)

// env is an environment of the given pairs.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestHomeDir(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // the paths below are those of Linux
	}
	for _, tc := range []struct {
		flag   string
		getenv func(string) string
		want   string
	}{
		{"/x/y", env("SHOAL_HOME", "/z", "HOME", "/h"), "/x/y"},
		{"", env("SHOAL_HOME", "/z", "HOME", "/h"), "/z"},
		{"", env("XDG_DATA_HOME", "/d", "HOME", "/h"), "/d/shoal"},
		{"", env("XDG_DATA_HOME", "relative", "HOME", "/h"), "/h/.local/share/shoal"},
		{"", env("HOME", "/h"), "/h/.local/share/shoal"},
		{"/x/../y/", env(), "/y"},
	} {
		if got, err := HomeDir(tc.flag, tc.getenv); err != nil || got != tc.want {
			t.Errorf("%q: %q %v, want %q", tc.flag, got, err, tc.want)
		}
	}
	if _, err := HomeDir("", env()); api.KindOf(err) != api.Path {
		t.Errorf("nothing is set: %v", err)
	}
	if got, err := HomeDir("rel", env()); err != nil || !filepath.IsAbs(got) {
		t.Errorf("relative: %q %v", got, err)
	}
}

func openHome(t *testing.T) *Home {
	t.Helper()
	h, err := OpenHome(filepath.Join(t.TempDir(), "deep", "home"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestHomeIsTheOwnersAlone(t *testing.T) {
	h := openHome(t)
	if m := mode(t, h.Dir); m != 0o700 {
		t.Errorf("a new home has mode %o", m)
	}
	if err := os.Chmod(h.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHome(h.Dir); err != nil || mode(t, h.Dir) != 0o700 {
		t.Errorf("an empty folder stays %o, %v", mode(t, h.Dir), err)
	}
	other := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(other, "letter"), nil, 0o644), os.Chmod(other, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHome(other); err != nil || mode(t, other) != 0o755 {
		t.Errorf("a folder of other things became %o, %v", mode(t, other), err)
	}
	if _, err := OpenHome(filepath.Join(other, "letter")); api.KindOf(err) != api.Path {
		t.Errorf("a file as home: %v", err)
	}
}

func TestOneNodeForEachHome(t *testing.T) {
	h := openHome(t)
	l, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(h.Path(LockFile)); err != nil || string(b) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("the lock says %q, %v", b, err)
	}
	_, err = h.Lock()
	if api.KindOf(err) != api.Locked || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("a second lock: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	l, err = h.Lock()
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	l.Release()
}

func TestKeyIsMadeOnce(t *testing.T) {
	h := openHome(t)
	key, err := h.Key()
	if err != nil || mode(t, h.Path(KeyFile)) != 0o600 {
		t.Fatalf("%v", err)
	}
	again, err := h.Key()
	if err != nil || again.ID() != key.ID() {
		t.Errorf("another key: %v", err)
	}
	if err := os.Chmod(h.Path(KeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Key(); api.KindOf(err) != api.Refused {
		t.Errorf("a key that others can read: %v", err)
	}
	good, err := os.ReadFile(h.Path(KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 10, 50} {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if err := os.WriteFile(h.Path(KeyFile), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Key(); err == nil {
			t.Errorf("byte %d is wrong and nobody noticed", at)
		}
		if now, _ := os.ReadFile(h.Path(KeyFile)); !bytes.Equal(now, bad) {
			t.Error("a damaged key was replaced")
		}
	}
}

func TestToken(t *testing.T) {
	h := openHome(t)
	a, err := h.Token()
	b, err2 := h.Token()
	if err != nil || err2 != nil || a != b || len(a) != 64 || mode(t, h.Path(TokenFile)) != 0o600 {
		t.Fatalf("%q %q %v %v", a, b, err, err2)
	}
	if err := os.Chmod(h.Path(TokenFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Token(); err != nil || mode(t, h.Path(TokenFile)) != 0o600 {
		t.Errorf("an open token stays open: %v", err)
	}
	if err := os.WriteFile(h.Path(TokenFile), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Token(); api.KindOf(err) != api.BadData {
		t.Errorf("a short token: %v", err)
	}
}

func TestSocketThatIsTooLong(t *testing.T) {
	run := t.TempDir()
	short, long := &Home{Dir: "/x"}, &Home{Dir: filepath.Join(t.TempDir(), strings.Repeat("a", 90))}
	if got := short.SocketPath(env("XDG_RUNTIME_DIR", run)); got != "/x/api.sock" {
		t.Errorf("short: %s", got)
	}
	if err := os.MkdirAll(long.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := long.SocketPath(env("XDG_RUNTIME_DIR", "relative"))
	if len(path) > maxSocketPath {
		t.Errorf("%s is too long", path)
	}
	if err := long.NoteSocket(path); err != nil || long.FindSocket() != path {
		t.Errorf("found at %s, %v", long.FindSocket(), err)
	}
	if err := long.NoteSocket(long.Path(SocketFile)); err != nil || long.FindSocket() != long.Path(SocketFile) {
		t.Errorf("found at %s, %v", long.FindSocket(), err)
	}
}

// TestSocketFolderIsOurs: the folder in the system's temporary one may have been made by
// somebody else before, or be a link that he can turn elsewhere.
func TestSocketFolderIsOurs(t *testing.T) {
	h, tmp := openHome(t), t.TempDir()
	open := filepath.Join(tmp, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	if err := h.NoteSocket(filepath.Join(open, "x.sock")); err != nil || mode(t, open) != 0o700 {
		t.Errorf("a folder open to others stays %o, %v", mode(t, open), err)
	}
	link := filepath.Join(tmp, "link")
	if err := os.Symlink(open, link); err != nil {
		t.Fatal(err)
	}
	if err := h.NoteSocket(filepath.Join(link, "x.sock")); api.KindOf(err) != api.Path {
		t.Errorf("a link: %v", err)
	}
}

func TestATakenPortNamesItsHolder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	_, err = net.Listen("tcp", l.Addr().String())
	err = PortTaken(err, port, "--port")
	if api.KindOf(err) != api.PortTaken || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "--port") {
		t.Errorf("%v", err)
	}
	if runtime.GOOS == "linux" && !strings.Contains(err.Error(), fmt.Sprintf("process %d (", os.Getpid())) {
		t.Errorf("the holder is not named: %v", err)
	}
	if other := errors.New("other"); PortTaken(other, port, "--port") != other || PortTaken(nil, port, "") != nil {
		t.Error("other errors are changed")
	}
}

func TestFsck(t *testing.T) {
	h := openHome(t)
	if r, err := Fsck(t.Context(), h.Dir, false); err != nil || !r.Clean || len(r.Problems) != 0 {
		t.Fatalf("a new home: %+v %v", r, err)
	}
	if _, err := h.Key(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{TokenFile: "short", ConfigFile: "[network]\nprot = 1\n"} {
		if err := os.WriteFile(h.Path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(h.Path(KeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Fsck(t.Context(), h.Dir, false)
	if err != nil || r.Clean || len(r.Problems) != 4 {
		t.Fatalf("damaged: %+v %v", r, err)
	}
	if mode(t, h.Path(KeyFile)) != 0o644 {
		t.Error("a check changed something")
	}
	r, err = Fsck(t.Context(), h.Dir, true)
	left := 0
	for _, p := range r.Problems {
		if !p.Repaired {
			left++
		}
	}
	if err != nil || r.Clean || left != 1 || mode(t, h.Path(KeyFile)) != 0o600 {
		t.Errorf("repaired: %+v %v", r, err)
	}
	if err := os.Remove(h.Path(ConfigFile)); err != nil {
		t.Fatal(err)
	}
	if r, err := Fsck(t.Context(), h.Dir, false); err != nil || !r.Clean {
		t.Errorf("afterwards: %+v %v", r, err)
	}
	lock, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	if _, err := Fsck(t.Context(), h.Dir, false); api.KindOf(err) != api.Locked {
		t.Errorf("while a node runs: %v", err)
	}
	if _, err := Fsck(t.Context(), h.Path("nowhere"), false); api.KindOf(err) != api.Path {
		t.Errorf("no home: %v", err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "letter"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Fsck(t.Context(), other, false); api.KindOf(err) != api.Path {
		t.Errorf("a folder of other things: %v", err)
	}
	if _, err := os.Stat(filepath.Join(other, LockFile)); err == nil {
		t.Error("a folder of other things has a lock now")
	}
}

func TestProblem(t *testing.T) {
	if Problem(nil) != nil {
		t.Error("nil is a problem")
	}
	err := Problem(fmt.Errorf("engine: %w", &store.Error{Op: "write", Path: "/x/y", Kind: store.ErrFull, Err: syscall.ENOSPC}))
	e := api.AsError(err)
	if e.Kind != api.DiskFull || e.Subject != "/x/y" || e.Reason != "the disk is full" || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%+v", e)
	}
	e = api.AsError(Problem(&store.SpaceError{Path: "/x", Need: 90e6, Free: 21e6, Reserve: 1e9}))
	if want := "not enough free space: 90.0 MB needed, 1.00 GB to be left free, 21.0 MB free"; e.Reason != want || e.Subject != "/x" {
		t.Errorf("%+v, want %s", e, want)
	}
	e = api.AsError(Problem(&store.SpaceError{Path: "/x", Need: 90e6, Free: 21e6}))
	if e.Reason != "not enough free space: 90.0 MB needed, 21.0 MB free" || strings.Contains(e.Remedy, "reserve") {
		t.Errorf("no reserve: %+v", e)
	}
	for is, kind := range map[error]api.Kind{store.ErrNoSpace: api.DiskFull, store.ErrExists: api.Exists, store.ErrLink: api.Refused,
		store.ErrDenied: api.Path, store.ErrReadOnly: api.Path, errors.New("odd"): api.Internal} {
		if got := api.KindOf(Problem(fmt.Errorf("x: %w", is))); got != kind {
			t.Errorf("%v: %s, want %s", is, got, kind)
		}
	}
}

package node

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"shoal/internal/door/api"
)

// Lock is the claim of one node on a home. The system gives it up when the
// process ends, however it ends.
type Lock struct {
	file *os.File
}

// errHeld is what the system-specific tryLock returns when another holds it.
var errHeld = errors.New("held by another")

// Lock claims the home for this process. If another node holds it the error is
// of the kind api.Locked and names that process.
func (h *Home) Lock() (*Lock, error) {
	path := h.Path(LockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, api.Errorf(api.KindOf(err), path, "the lock cannot be opened: %w", unwrapPath(err)).Try("choose another home with --home DIR")
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if !errors.Is(err, errHeld) {
			return nil, api.Errorf(api.Path, path, "the home cannot be locked: %w", err).Try("choose a home on a local disk with --home DIR")
		}
		holder := "another process"
		if pid := readPID(f); pid > 0 {
			holder = fmt.Sprintf("process %d", pid)
		}
		return nil, api.Errorf(api.Locked, h.Dir, "a node runs for this home already (%s)", holder).
			Try("use it as it is, stop it first, or choose another home with --home DIR")
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		f.Close()
		return nil, api.Errorf(api.KindOf(err), path, "the lock cannot be written: %w", unwrapPath(err))
	}
	return &Lock{file: f}, nil
}

// Release gives the home up. The file stays: removing it would let two nodes
// hold locks on two files of one name.
func (l *Lock) Release() error {
	return errors.Join(l.file.Truncate(0), l.file.Close())
}

func writePID(f *os.File) error {
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(f *os.File) int {
	var b [32]byte
	n, _ := f.ReadAt(b[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil || pid <= 0 {
		return 0
	}
	return pid
}

package httpd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// ListenSocket listens on a Unix socket that only the owner can use (0600). A
// socket that a dead node left is replaced: the caller holds the home's lock.
//
// It is made in a folder of its own that is closed to others and then moved into
// place, so that there is no moment at which its mode is open.
func ListenSocket(path string) (net.Listener, error) {
	if runtime.GOOS == "windows" { // no modes there, and no renaming of sockets: the folder's rights protect it
		os.Remove(path)
		return net.Listen("unix", path)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, fmt.Errorf("httpd: socket: %w", err)
	}
	defer os.RemoveAll(dir)
	tmp := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("httpd: socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(tmp, 0o600), os.Rename(tmp, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("httpd: socket: %w", err), l.Close())
	}
	return &socket{Listener: l, path: path}, nil
}

// socket removes its file when it is closed, under the name it was moved to.
type socket struct {
	net.Listener
	path string
}

// Close stops listening and removes the file.
func (s *socket) Close() error {
	return errors.Join(s.Listener.Close(), os.Remove(s.path))
}

// freeAttempts bounds the search for a port that is free on both addresses.
const freeAttempts = 16

// ListenLoopback listens on 127.0.0.1 and [::1] with one port; 0 is any that is
// free on both. A machine without IPv6 gets the first alone. A taken port is an
// error that wraps syscall.EADDRINUSE.
func ListenLoopback(port int) ([]net.Listener, error) {
	var last error
	for range freeAttempts {
		four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return nil, fmt.Errorf("httpd: %w", err)
		}
		at := four.Addr().(*net.TCPAddr).Port
		six, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(at)))
		if err == nil {
			return []net.Listener{four, six}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return []net.Listener{four}, nil
		}
		last = errors.Join(err, four.Close())
		if port != 0 {
			break
		}
	}
	return nil, fmt.Errorf("httpd: %w", last)
}

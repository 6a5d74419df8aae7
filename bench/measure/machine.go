//go:build linux

package measure

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine describes the machine and the day in one line: figures mean nothing
// without it.
func Machine() string {
	mem := memory()
	return fmt.Sprintf("%s; %d cores; %.1f GiB; %s; %s; %s; %s", field("/proc/cpuinfo", "model name"), runtime.NumCPU(),
		float64(mem["MemTotal"])/(1<<30), kernel(), system(), runtime.Version(), time.Now().UTC().Format("2006-01-02"))
}

// field reads one "name : value" of a /proc file.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "?"
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

func system() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return "?"
}

// memory reads /proc/meminfo, in bytes.
func memory() map[string]int64 {
	m := map[string]int64{}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		m[strings.TrimSuffix(f[0], ":")] = n << 10
	}
	return m
}

// Warm touches size bytes of memory once, through a file in dir, which must be on a
// RAM disk: in a virtual machine the first touch of a page costs many times the
// later ones, and the first runs would measure that. It never takes more than the RAM disk
// has, or than leaves 2 GiB of memory available.
func Warm(dir string, size int64) (time.Duration, error) {
	began := time.Now()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("measure: %s: %w", dir, err)
	}
	size = min(size, memory()["MemAvailable"]-2<<30, int64(fs.Bavail)*fs.Bsize)
	if size <= 0 {
		return 0, errors.New("measure: not enough memory to warm any")
	}
	f, err := os.CreateTemp(dir, "warm-")
	if err != nil {
		return 0, fmt.Errorf("measure: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	buf := make([]byte, chunk)
	for n := int64(0); n < size; n += chunk {
		if _, err := f.Write(buf); err != nil {
			return 0, fmt.Errorf("measure: %w", err)
		}
	}
	return time.Since(began), nil
}

// Cache reads a file or all files of a folder, so that they come from memory.
func Cache(path string) error {
	return filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, chunk))
		return err
	})
}

// Sync writes everything of a folder's file system to the disk and tells how long
// that took.
func Sync(dir string) (time.Duration, error) {
	began := time.Now()
	f, err := os.Open(dir)
	if err != nil {
		return 0, fmt.Errorf("measure: %w", err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return 0, fmt.Errorf("measure: %s: %w", dir, err)
	}
	return time.Since(began), nil
}

// Empty gives back what the files below dir take, and keeps their names: a file system
// that has just deleted thousands of files makes the next ones slowly (ext4 does not use
// their inodes again for some seconds, and looks at each of them), which no program that
// is measured is to pay for.
func Empty(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return os.Truncate(path, 0)
	})
}

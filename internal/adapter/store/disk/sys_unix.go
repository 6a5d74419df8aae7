//go:build unix

package disk

import (
	"errors"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// OpenRegular are the flags that keep a link, or a pipe without a writer, from
// being opened by a name that was just seen to be a file.
const OpenRegular = os.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_CLOEXEC

// freeBytes asks the file system of an existing path.
func freeBytes(path string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	unit := blockUnit(&st)
	return times(uint64(max(0, int64(st.Bavail))), unit), times(uint64(st.Blocks), unit), nil
}

// times multiplies without running over: some network file systems claim no end of space.
func times(blocks, unit uint64) int64 {
	hi, n := bits.Mul64(blocks, unit)
	if hi > 0 || n > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}

// systemKind sorts the system's error numbers.
func systemKind(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return ErrFull
	case errors.Is(err, syscall.EROFS):
		return ErrReadOnly
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ErrDenied
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return ErrIO
	case errors.Is(err, syscall.ELOOP):
		return ErrLink
	}
	return nil
}

// Identity is the inode number, 0 where it is none to rely on, and whether any name
// still leads to it.
func Identity(fi fs.FileInfo) (ino uint64, linked bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, true
	}
	if !steady(uint64(st.Dev)) {
		return 0, st.Nlink > 0
	}
	return uint64(st.Ino), st.Nlink > 0
}

// Sparse reports whether a file occupies less than its length.
func Sparse(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int64(st.Blocks)*512 < fi.Size()
}

// NextData is the offset of the first byte at or after off that is not in a
// hole; size of the file when there is none. Where the file system cannot
// tell, everything is data.
func NextData(f *os.File, off, size int64) int64 {
	return seekExtent(f, off, size, unix.SEEK_DATA, off)
}

// NextHole is the offset of the first hole at or after off.
func NextHole(f *os.File, off, size int64) int64 {
	return seekExtent(f, off, size, unix.SEEK_HOLE, size)
}

func seekExtent(f *os.File, off, size int64, whence int, unknown int64) int64 {
	// The shared file offset that lseek moves is used by nobody: all reads
	// and writes carry their own.
	at, err := unix.Seek(int(f.Fd()), off, whence)
	runtime.KeepAlive(f)
	switch {
	case err == nil:
		return min(at, size)
	case errors.Is(err, unix.ENXIO):
		return size
	}
	return unknown
}

// SyncFolder flushes the names in a folder. A file system that has no such call keeps
// them in its own way.
func SyncFolder(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// MakeSparse is for systems where a file must be told; here it is not needed.
func MakeSparse(*os.File) {}

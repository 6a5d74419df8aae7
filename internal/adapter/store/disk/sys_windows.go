package disk

import (
	"errors"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/windows"
)

// OpenRegular are the flags for opening a name that was just seen to be a file.
const OpenRegular = os.O_RDONLY

// freeBytes asks the volume of an existing path.
func freeBytes(path string) (free, total int64, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, 0, err
	}
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	var avail, size, all uint64
	if err := windows.GetDiskFreeSpaceEx(p, &avail, &size, &all); err != nil {
		return 0, 0, &fs.PathError{Op: "GetDiskFreeSpaceEx", Path: path, Err: err}
	}
	return int64(avail), int64(size), nil
}

// systemKind sorts the system's error numbers.
func systemKind(err error) error {
	switch {
	case errors.Is(err, windows.ERROR_DISK_FULL), errors.Is(err, windows.ERROR_HANDLE_DISK_FULL),
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED):
		return ErrFull
	case errors.Is(err, windows.ERROR_WRITE_PROTECT):
		return ErrReadOnly
	case errors.Is(err, windows.ERROR_ACCESS_DENIED), errors.Is(err, windows.ERROR_SHARING_VIOLATION):
		return ErrDenied
	case errors.Is(err, windows.ERROR_CRC), errors.Is(err, windows.ERROR_IO_DEVICE),
		errors.Is(err, windows.ERROR_NOT_READY):
		return ErrIO
	}
	return nil
}

// Identity is not part of a FileInfo here; size and time must do.
func Identity(fs.FileInfo) (ino uint64, linked bool) { return 0, true }

// Sparse: holes are not looked for here.
func Sparse(fs.FileInfo) bool { return false }

// NextData: everything counts as data.
func NextData(_ *os.File, off, _ int64) int64 { return off }

// NextHole: there are none.
func NextHole(_ *os.File, _, size int64) int64 { return size }

// SyncFolder has nothing to do: the system flushes names by itself.
func SyncFolder(*os.File) error { return nil }

// MakeSparse asks for holes, so that extending a file to its length does not
// write zeros. A volume without them still works, only slower.
func MakeSparse(f *os.File) {
	var n uint32
	_ = windows.DeviceIoControl(windows.Handle(f.Fd()), windows.FSCTL_SET_SPARSE, nil, 0, nil, 0, &n, nil)
	runtime.KeepAlive(f)
}

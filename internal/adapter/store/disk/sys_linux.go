package disk

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxVec is the kernel's bound on the buffers of one call (IOV_MAX).
const maxVec = 1024

// iovecs is scratch for one vectored call; pooled, so that the hot path
// allocates nothing.
type iovecs struct{ v [maxVec]unix.Iovec }

var iovecPool = sync.Pool{New: func() any { return new(iovecs) }}

// load fills the scratch with bufs, less the first skip bytes, and reports how
// many entries are in use.
func (io *iovecs) load(bufs [][]byte, skip int) int {
	n := 0
	for _, b := range bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		b, skip = b[skip:], 0
		if n == maxVec {
			break
		}
		io.v[n].Base = unsafe.SliceData(b)
		io.v[n].SetLen(len(b))
		n++
	}
	return n
}

// unload forgets the buffers, so that the pool keeps none of them alive.
func (io *iovecs) unload(n int) { clear(io.v[:n]) }

// vectored repeats one of the two vectored calls until all of bufs is done.
func vectored(trap uintptr, f *os.File, bufs [][]byte, off int64) (done int, err error) {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	fd := f.Fd()
	vec := iovecPool.Get().(*iovecs)
	for done < total {
		n := vec.load(bufs, done)
		at := uint64(off) + uint64(done)
		// The offset travels as two machine words; on 64 bits the kernel
		// looks at the first alone.
		lo, hi := uintptr(at), uintptr(at>>(unix.SizeofLong*8-1)>>1)
		got, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&vec.v[0])), uintptr(n), lo, hi, 0)
		vec.unload(n)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			err = errno
			break
		}
		if got == 0 {
			err = io.ErrUnexpectedEOF
			break
		}
		done += int(got)
	}
	iovecPool.Put(vec)
	runtime.KeepAlive(f)
	return done, err
}

// ReadVec fills bufs from off in as few calls as the system allows.
// io.ErrUnexpectedEOF means that the file ends before that.
func ReadVec(f *os.File, bufs [][]byte, off int64) error {
	_, err := vectored(unix.SYS_PREADV, f, bufs, off)
	return err
}

// WriteVec writes bufs at off in as few calls as the system allows.
func WriteVec(f *os.File, bufs [][]byte, off int64) error {
	_, err := vectored(unix.SYS_PWRITEV, f, bufs, off)
	return err
}

// RenameNew renames within one folder and fails with fs.ErrExist when the new
// name is taken: RENAME_NOREPLACE where the file system knows it, else a hard
// link, which never replaces anything either.
func RenameNew(root *os.Root, dir *os.File, oldName, newName string) error {
	fd := int(dir.Fd())
	err := unix.Renameat2(fd, oldName, fd, newName, unix.RENAME_NOREPLACE)
	runtime.KeepAlive(dir)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return linkNew(root, oldName, newName)
	}
	return err
}

// SyncAll flushes the whole file system that holds f: cheaper than one flush
// per file when there are many.
func SyncAll(f *os.File) error {
	err := unix.Syncfs(int(f.Fd()))
	runtime.KeepAlive(f)
	return err
}

// SyncData flushes the bytes of f and what is needed to find them.
func SyncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		runtime.KeepAlive(f)
		if err != unix.EINTR {
			return err
		}
	}
}

const bootIDFile = "/proc/sys/kernel/random/boot_id"

// FlushNeedsWrite: a file opened for reading alone cannot be flushed.
const FlushNeedsWrite = false

// systemBoot is the kernel's random name of this run of it.
func systemBoot() string {
	b, err := os.ReadFile(bootIDFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// blockUnit is what free blocks are counted in: the preferred size of a transfer is
// another on some file systems.
func blockUnit(st *unix.Statfs_t) uint64 {
	if st.Frsize > 0 {
		return uint64(st.Frsize)
	}
	return uint64(st.Bsize)
}

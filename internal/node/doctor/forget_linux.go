package doctor

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget has the system drop what it remembers of a file that is flushed, and says whether it
// was asked to.
func forget(f *os.File) bool {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) == nil
}

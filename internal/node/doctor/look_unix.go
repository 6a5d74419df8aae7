//go:build unix

package doctor

import (
	"os"

	"golang.org/x/sys/unix"
)

// openFiles is how many files this process has open, and may have.
func openFiles() Files {
	var f Files
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		f.Limit = uint64(limit.Cur)
	}
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if list, err := os.ReadDir(dir); err == nil {
			f.Open = uint64(len(list))
			break
		}
	}
	return f
}

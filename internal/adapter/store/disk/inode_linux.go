package disk

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// forgetful are the file systems that may give a file another inode number when they have
// had to forget it: a number is then no sign of a file that was replaced.
var forgetful = map[string]bool{
	"vfat": true, "msdos": true, "exfat": true, "fuse": true, "fuseblk": true, "cifs": true, "smb3": true,
}

var steadyDevices sync.Map // of uint64 to bool

// steady tells whether files on a device keep their inode numbers.
func steady(dev uint64) bool {
	if known, ok := steadyDevices.Load(dev); ok {
		return known.(bool)
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return true
	}
	defer f.Close()
	kind, _, _ := strings.Cut(kindOfMount(f, dev), ".") // fuse.sshfs and the like
	steadyDevices.Store(dev, !forgetful[kind])
	return !forgetful[kind]
}

// kindOfMount finds the type of a device's file system in the list of mounts (proc(5)).
func kindOfMount(mounts io.Reader, dev uint64) string {
	want := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev))
	lines := bufio.NewScanner(mounts)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		if f := strings.Fields(before); len(f) > 2 && f[2] == want {
			kind, _, _ := strings.Cut(after, " ")
			return kind
		}
	}
	return ""
}

package disk

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestKindOfMount(t *testing.T) {
	const mounts = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
90 22 8:17 / /media/stick rw,nosuid shared:45 master:3 - exfat /dev/sdb1 rw,uid=1000
91 22 0:52 / /mnt/a\040b rw - fuse.sshfs me@there: rw
`
	for _, c := range []struct {
		major, minor uint32
		want         string
	}{{8, 1, "ext4"}, {8, 17, "exfat"}, {0, 52, "fuse.sshfs"}, {8, 2, ""}} {
		if got := kindOfMount(strings.NewReader(mounts), unix.Mkdev(c.major, c.minor)); got != c.want {
			t.Errorf("%d:%d is %q, want %q", c.major, c.minor, got, c.want)
		}
	}
}

// On a file system that forgets numbers, no file has one.
func TestForgetfulFileSystem(t *testing.T) {
	fi, err := os.Lstat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dev := fi.Sys().(*syscall.Stat_t).Dev
	defer steadyDevices.Delete(dev)
	for _, keeps := range []bool{true, false} {
		steadyDevices.Store(dev, keeps)
		if ino, linked := Identity(fi); ino != 0 != keeps || !linked {
			t.Errorf("keeps %t: %d, %t", keeps, ino, linked)
		}
	}
}

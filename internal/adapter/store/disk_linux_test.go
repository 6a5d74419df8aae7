package store

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a RAM disk of that many bytes, which needs root. Without it
// the test says so, and fails where everything is required.
func smallDisk(t *testing.T, bytes int) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, sizeOption(bytes)); err != nil {
		if os.Getenv("SHOAL_REQUIRE_PEERS") == "1" {
			t.Fatalf("a small file system cannot be mounted: %v", err)
		}
		t.Logf("NOT TRIED: a small file system cannot be mounted: %v", err)
		return "", false
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, true
}

func grow(t *testing.T, dir string, bytes int) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, sizeOption(bytes)); err != nil {
		t.Fatal(err)
	}
}

func remountReadOnly(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

func sizeOption(bytes int) string { return fmt.Sprintf("size=%d", bytes) }

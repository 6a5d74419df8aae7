//go:build !linux

package store

import "testing"

func smallDisk(t *testing.T, _ int) (dir string, ok bool) {
	t.Log("NOT TRIED: a small file system can only be mounted on Linux")
	return "", false
}

func grow(*testing.T, string, int) {}

func remountReadOnly(*testing.T, string) {}

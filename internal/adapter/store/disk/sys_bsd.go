//go:build unix && !linux

package disk

import "golang.org/x/sys/unix"

// blockUnit is what free blocks are counted in.
func blockUnit(st *unix.Statfs_t) uint64 { return uint64(st.Bsize) }

// steady: files keep their inode numbers.
func steady(uint64) bool { return true }

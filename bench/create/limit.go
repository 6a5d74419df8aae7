//go:build linux

package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"shoal/bench/clients"
)

// readSize is the size of one pread of the limit program; larger ones fall out of
// the processor's cache before they are hashed.
const readSize = 128 << 10

// leafSize is the block of BEP 52's trees.
const leafSize = 16 << 10

// limit reads and hashes a file on all cores and keeps nothing: what creating
// metainfo costs at least. It returns what [clients.Maker] does.
func limit(path string, format clients.Format, piece int64) (clients.Made, error) {
	var made clients.Made
	f, err := os.Open(path)
	if err != nil {
		return made, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return made, err
	}
	before, began := ownCPU(), time.Now()
	var next atomic.Int64
	errs := make([]error, runtime.NumCPU())
	var all sync.WaitGroup
	for w := range errs {
		all.Go(func() {
			buf := make([]byte, readSize)
			for off := (next.Add(1) - 1) * piece; off < st.Size() && errs[w] == nil; off = (next.Add(1) - 1) * piece {
				errs[w] = hashPiece(f, buf, off, min(piece, st.Size()-off), format)
			}
		})
	}
	all.Wait()
	made.Seconds = time.Since(began).Seconds()
	made.CPU = ownCPU() - before
	return made, errors.Join(errs...)
}

// hashPiece hashes one piece as a format needs it.
func hashPiece(f *os.File, buf []byte, off, size int64, format clients.Format) error {
	v1 := sha1.New()
	leaves := make([]byte, 0, 32*(size/leafSize+1))
	for end := off + size; off < end; {
		n, err := f.ReadAt(buf[:min(readSize, end-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		if format != clients.V2 {
			v1.Write(buf[:n])
		}
		for i := 0; format != clients.V1 && i < n; i += leafSize {
			leaf := sha256.Sum256(buf[i:min(i+leafSize, n)])
			leaves = append(leaves, leaf[:]...)
		}
		off += int64(n)
	}
	for ; len(leaves) > 32; leaves = leaves[:len(leaves)/64*32] {
		for i := 0; i+64 <= len(leaves); i += 64 {
			node := sha256.Sum256(leaves[i : i+64])
			copy(leaves[i/2:], node[:])
		}
	}
	v1.Sum(nil)
	return nil
}

func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

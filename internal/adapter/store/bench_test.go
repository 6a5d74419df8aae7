package store

import (
	"context"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"shoal/internal/core/metainfo"
)

// benchSize is the size of the file that is hashed. SHOAL_BENCH_FILE names a
// larger one that is there already.
const benchSize = 64 << 20

func benchFile(b *testing.B) (string, int64) {
	b.Helper()
	if p := os.Getenv("SHOAL_BENCH_FILE"); p != "" {
		fi, err := os.Stat(p)
		if err != nil {
			b.Fatal(err)
		}
		return p, fi.Size()
	}
	p := filepath.Join(b.TempDir(), "file")
	data := make([]byte, benchSize)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	if err := os.WriteFile(p, data, 0o666); err != nil {
		b.Fatal(err)
	}
	return p, benchSize
}

// BenchmarkCreate measures hashing a file for v1, v2 and both at once.
func BenchmarkCreate(b *testing.B) {
	p, size := benchFile(b)
	for _, v := range versions {
		b.Run(v.String(), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Create(context.Background(), p, CreateOptions{Version: v, PieceLength: 1 << 20}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLimit is what no program can beat: all cores read the file in
// chunks and hash it, and do nothing else.
func BenchmarkLimit(b *testing.B) {
	p, size := benchFile(b)
	for _, v := range versions {
		b.Run(v.String(), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				limit(b, p, size, v)
			}
		})
	}
}

func limit(b *testing.B, p string, size int64, v metainfo.Version) {
	f, err := os.Open(p)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			buf := make([]byte, chunk)
			h := sha1.New()
			for {
				at := next.Add(1<<20) - 1<<20
				if at >= size {
					return
				}
				for end := min(at+1<<20, size); at < end; at += chunk {
					n, _ := f.ReadAt(buf, at)
					if v&metainfo.V1 != 0 {
						h.Write(buf[:n])
					}
					for o := 0; v&metainfo.V2 != 0 && o < n; o += 16 << 10 {
						_ = metainfo.LeafHash(buf[o:min(o+16<<10, n)])
					}
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkWriteVec and BenchmarkReadVec measure the two halves of the data
// path: 1 MiB of blocks a call, in one file and in files of 256 KiB.
func BenchmarkWriteVec(b *testing.B) { benchVec(b, true) }

func BenchmarkReadVec(b *testing.B) { benchVec(b, false) }

func benchVec(b *testing.B, write bool) {
	for _, files := range []int{1, 256} {
		b.Run(fmt.Sprintf("%d files", files), func(b *testing.B) {
			var specs []spec
			for i := range files {
				specs = append(specs, spec{fmt.Sprintf("f%03d", i), benchSize / files})
			}
			fx := newFixture(b, metainfo.V1, 1<<20, false, specs...)
			c := fx.open(b, b.TempDir(), Options{})
			fx.fetchAll(b, c)
			bufs := blocks(make([]byte, 1<<20))
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			p := 0
			for b.Loop() {
				if err := c.transfer(bufs, p%fx.info.NumPieces(), 0, write); err != nil {
					b.Fatal(err)
				}
				p++
			}
		})
	}
}

// BenchmarkVerify measures checking a share on all cores.
func BenchmarkVerify(b *testing.B) {
	for _, v := range versions {
		b.Run(v.String(), func(b *testing.B) {
			fx := newFixture(b, v, 1<<20, true, spec{"f", benchSize})
			dir := b.TempDir()
			fx.put(b, dir)
			c := fx.open(b, dir, Options{InPlace: true})
			b.SetBytes(benchSize)
			for b.Loop() {
				if err := c.Verify(context.Background(), nil, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package metainfo

import (
	"fmt"
	"runtime"
	"testing"
)

// hugeHybrid is an info dictionary with layers of n files of one piece each in folders of 100, as a build makes it, but
// with made-up hashes.
func hugeHybrid(n int) []byte {
	files := make([]BuildFile, n)
	for k := range files {
		files[k] = BuildFile{Path: []string{"some", "folder", fmt.Sprintf("%05d", k/100), fmt.Sprintf("file-%07d.txt", k)}, Length: int64(100 + k%16000), Root: [32]byte{byte(k), byte(k >> 8), byte(k >> 16), 1}}
	}
	i, err := PlanLayout("huge", false, files, Hybrid, 16<<10)
	if err != nil {
		panic(err)
	}
	b := &Build{Info: i, Files: files, V1Pieces: make([]byte, 20*i.NumPieces())}
	info, err := b.encodeInfo()
	if err != nil {
		panic(err)
	}
	return torrent(raw(info), dict{})
}

// hugeV1 is one file of the greatest number of pieces.
func hugeV1() []byte {
	return torrent(dict{"length", MaxPieces * piece, "name", "x", "piece length", piece, "pieces", raw(fmt.Sprintf("%d:%s", 20*MaxPieces, hashes(MaxPieces)))})
}

// TestParseMemory: however large the metainfo, parsing and keeping it takes a few times its bytes, no more.
func TestParseMemory(t *testing.T) {
	for name, b := range map[string][]byte{"pieces": hugeV1(), "files": hugeHybrid(MaxFiles)} {
		var before, after, kept runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m, err := Parse(b)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&kept)
		total, stays := after.TotalAlloc-before.TotalAlloc, int64(kept.HeapAlloc)-int64(before.HeapAlloc)
		t.Logf("%s: %d files, %d pieces: %d KiB of metainfo, %d KiB allocated, %d KiB kept", name, len(m.Info.Files), m.Info.NumPieces(),
			len(b)>>10, total>>10, stays>>10)
		if total > 4*uint64(len(b)) || stays > 2*int64(len(b)) {
			t.Errorf("%s: %d bytes of metainfo took %d and keep %d", name, len(b), total, stays)
		}
		runtime.KeepAlive(m)
	}
}

// A share of one file costs next to nothing beside its .torrent.
func TestSmallIsCheap(t *testing.T) {
	b := golden(t, "single-hybrid")
	const shares = 1000
	kept := make([]*Metainfo, shares)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range kept {
		kept[n] = mustParse(t, b)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / shares
	t.Logf("%d bytes each, besides %d of .torrent", each, len(b))
	if each > 1024 {
		t.Errorf("a small share keeps %d bytes besides its .torrent", each)
	}
	runtime.KeepAlive(kept)
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"small", golden(b, "single-hybrid")},
		{"tree", golden(b, "tree-hybrid")},
		{"10000files", hugeHybrid(10_000)},
		{"200000files", hugeHybrid(MaxFiles)},
		{"2097152pieces", hugeV1()},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(c.in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package engine

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

const testPiece = 64 << 10

// sizes are the lengths at which something ends: blocks, pieces, runs of hashes.
var sizes = []int{0, 1, 16384, 16385, testPiece - 1, testPiece, testPiece + 1, 3*testPiece + 5, 5<<20 + 77}

// content makes what a test shares: one file or a folder.
func content(t *testing.T, single bool) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "content")
	if single {
		writeFile(t, root, 5<<20+77)
		return root
	}
	for i, n := range sizes {
		writeFile(t, filepath.Join(root, fmt.Sprintf("%d", i%3), fmt.Sprintf("file-%d", n)), n)
	}
	return root
}

// TestExchange fetches every format, by .torrent and by link, one file and a folder.
func TestExchange(t *testing.T) {
	for _, v := range []metainfo.Version{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		for _, single := range []bool{true, false} {
			for _, link := range []bool{false, true} {
				name := fmt.Sprintf("%s/single=%t/link=%t", v, single, link)
				t.Run(name, func(t *testing.T) {
					path := content(t, single)
					a, b := startNode(t), startNode(t)
					m := a.share(path, store.CreateOptions{Version: v, PieceLength: testPiece})
					spec := Spec{Meta: m}
					if link {
						spec = Spec{Magnet: magnet(m.Hash)}
					}
					dir := b.fetch(spec, a)
					st := b.waitDone(m.Hash)
					sameTree(t, path, filepath.Join(dir, "content"))
					if st.Downloaded < m.Info.Bytes() || st.Wasted > 0 {
						t.Errorf("%d bytes fetched and %d wasted of %d", st.Downloaded, st.Wasted, m.Info.Bytes())
					}
					sameTorrent(t, b, m)
				})
			}
		}
	}
}

// sameTorrent proves that the node's own .torrent is whole and of the same hashes.
func sameTorrent(t *testing.T, n *node, m *metainfo.Metainfo) {
	t.Helper()
	b, err := n.Torrent(m.Hash.ID())
	if err != nil {
		t.Fatal(err)
	}
	got, err := metainfo.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Hash != m.Hash || !bytes.Equal(got.InfoBytes, m.InfoBytes) {
		t.Error("the .torrent is of another share")
	}
	for f := range m.Info.Files {
		if !bytes.Equal(got.Layer(f), m.Layer(f)) {
			t.Errorf("the layer of file %d differs", f)
		}
	}
}

package engine

import (
	"bytes"
	"context"
	"crypto/sha1"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// TestBEP52_HybridThatDisagrees: where the v1 and v2 hashes of a piece disagree, the v1
// side is dropped, it is said, and the share is fetched whole as v2.
func TestBEP52_HybridThatDisagrees(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "content")
	data := make([]byte, 10*32<<10+77)
	rng := rand.NewChaCha8([32]byte{52})
	_, _ = rng.Read(data)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	right, _, err := store.Create(context.Background(), path, store.CreateOptions{PieceLength: 32 << 10})
	if err != nil {
		t.Fatal(err)
	}
	hash := right.PieceV1(4)
	wrong := hash
	wrong[0] ^= 1
	m, err := metainfo.Parse(bytes.Replace(right.Bytes(), hash[:], wrong[:], 1))
	if err != nil {
		t.Fatal(err)
	}
	seed, leech := startNode(t), startNode(t)
	if _, err := seed.Add(Spec{Meta: m, Dir: dir, InPlace: true}); err != nil {
		t.Fatal(err)
	}
	seed.wait("seeding", func(e Event) bool { return e.Status != nil && e.Status.State == Seeding })
	to := leech.fetch(Spec{Meta: m}, seed)
	leech.wait("the notice", func(e Event) bool { return e.Kind == EventNotice && e.Code == "hybrid_inconsistent" })
	leech.waitDone(m.Hash)
	got, err := os.ReadFile(filepath.Join(to, "content"))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v, or they differ", len(got), err)
	}
	l := rawListener(t)
	if _, err := leech.AddPeers(m.Hash.ID(), []string{l.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if h, err := link.ReadHandshake(nc); err != nil || h.InfoHash != m.Hash.V2Short() {
		t.Errorf("others are dialled for %x, %v; that is not its v2 name", h.InfoHash, err)
	}
}

// TestBEP52_HybridOfOtherDataBansNobody: an honest v1 peer of a share whose v2 side
// describes other data sends what v1 calls good. It is dropped, and not for a bad block.
func TestBEP52_HybridOfOtherDataBansNobody(t *testing.T) {
	const piece = 32 << 10
	path := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(path, make([]byte, 2*piece), 0o600); err != nil {
		t.Fatal(err)
	}
	right, _, err := store.Create(context.Background(), path, store.CreateOptions{PieceLength: piece})
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte{1}, piece) // what each piece is by v1
	hash, other := right.PieceV1(0), sha1.Sum(data)
	m, err := metainfo.Parse(bytes.ReplaceAll(right.Bytes(), hash[:], other[:]))
	if err != nil {
		t.Fatal(err)
	}
	leech, l := startNode(t), rawListener(t)
	if _, err := leech.Add(Spec{Meta: m, Dir: t.TempDir(), Peers: []string{l.Addr().String()}}); err != nil {
		t.Fatal(err)
	}
	p := acceptRaw(t, l, m.Hash.V1)
	p.send(wire.AppendState(wire.AppendState(nil, wire.HaveAll), wire.Unchoke))
	for {
		_, body, ok := p.next(wire.Request)
		if !ok {
			break
		}
		r, err := wire.ParseRequest(body)
		if err != nil {
			t.Fatal(err)
		}
		b := wire.PieceHeader{Piece: r.Piece, Begin: r.Begin, DataLen: int(r.Length)}.Append(nil)
		if _, err := p.nc.Write(append(b, data[r.Begin:r.Begin+r.Length]...)); err != nil {
			break // it is dropped
		}
	}
	leech.wait("the notice", func(e Event) bool { return e.Kind == EventNotice && e.Code == "hybrid_inconsistent" })
	if n := leech.Penalties(); n["bad_block/ban"] > 0 || n["hybrid_v1/drop"] == 0 {
		t.Errorf("%v", n)
	}
}

package engine

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
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
}

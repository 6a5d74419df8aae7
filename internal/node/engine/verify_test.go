package engine

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"shoal/internal/adapter/store"
)

// TestVerifyInterrupted: who asked goes away, and the hashing ends; the share goes on.
func TestVerifyInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, 64*testPiece)
	n := startNode(t)
	m := n.share(path, store.CreateOptions{PieceLength: testPiece})
	ctx, cancel := context.WithCancel(t.Context())
	looked := int64(0)
	_, err := n.Verify(ctx, m.Hash.ID(), func(done, _ int64) { cancel(); looked = done })
	if !errors.Is(err, context.Canceled) || looked == 64*testPiece {
		t.Errorf("%v after %d bytes", err, looked)
	}
	if v, err := n.Verify(t.Context(), m.Hash.ID(), func(_, _ int64) {}); err != nil || v.Good != v.Pieces {
		t.Errorf("%+v, %v", v, err)
	}
}

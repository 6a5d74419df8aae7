package members

import (
	"context"

	"shoal/internal/core/ident"
)

// awaited is a node that is dialled for a stream. It may come to us before that leads anywhere.
type awaited struct {
	id   ident.NodeID
	came context.CancelFunc
}

// until is a context that ends when a node is connected anew; over must be called. It tells
// whether the node is connected now, as far as is known: its end may not have been heard of yet.
func (s *Service) until(ctx context.Context, id ident.NodeID) (_ context.Context, connected bool, over func()) {
	ctx, cancel := context.WithCancel(ctx)
	a := &awaited{id, cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited[a] = true
	return ctx, s.here[id], func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.awaited, a)
	}
}

// came ends what dials a node; under the lock.
func (s *Service) came(id ident.NodeID) {
	for a := range s.awaited {
		if a.id == id {
			a.came()
		}
	}
}

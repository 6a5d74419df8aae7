package store

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
)

// meeting is a context that holds whoever looks at it until a second one does.
type meeting struct {
	context.Context
	here  atomic.Int32
	met   chan struct{}
	alone func()
}

func (m *meeting) Err() error {
	if m.here.Add(1) == 2 {
		close(m.met)
	}
	select {
	case <-m.met:
	case <-time.After(10 * time.Second):
		m.alone()
	}
	return m.Context.Err()
}

func TestVerifyUsesAllCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	fx := newFixture(t, metainfo.Hybrid, 1<<20, true, spec{"f", 2 << 20})
	dir := t.TempDir()
	fx.put(t, dir)
	c := fx.open(t, dir, Options{InPlace: true})
	m := &meeting{Context: t.Context(), met: make(chan struct{}), alone: func() { t.Error("one core works while the other waits") }}
	pieces := 0
	if err := c.Verify(m, nil, 0, func(_ int, v metainfo.Verdict) {
		if v.OK() {
			pieces++
		}
	}); err != nil || pieces != 2 {
		t.Errorf("%d pieces good, %v", pieces, err)
	}
}

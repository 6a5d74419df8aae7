package catalog

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// gatherTime is how long a Saver waits for what other shares have.
const gatherTime = 500 * time.Millisecond

// Saver keeps rows and resume states in batches: one transaction for all shares. It is
// safe for concurrent use.
type Saver struct {
	catalog *Catalog
	failed  func(error)
	writing sync.Mutex // held while the database is written to
	mu      sync.Mutex // guards the maps; held for moments
	rows    map[string]Row
	resumes map[string]*Resume
	kick    chan struct{}
}

// NewSaver writes to a catalog while Run runs. failed is told when that does not go; what
// could not be written is tried again with what comes next.
func NewSaver(c *Catalog, failed func(error)) *Saver {
	return &Saver{catalog: c, failed: failed, rows: make(map[string]Row), resumes: make(map[string]*Resume), kick: make(chan struct{}, 1)}
}

// Put has a share's state kept soon, instead of what was put before. It does not wait for
// the database.
func (v *Saver) Put(row Row, resume *Resume) {
	v.mu.Lock()
	v.rows[row.ID], v.resumes[row.ID] = row, resume
	v.mu.Unlock()
	select {
	case v.kick <- struct{}{}:
	default:
	}
}

// Now keeps a share's state before it returns.
func (v *Saver) Now(row Row, resume *Resume) {
	v.Put(row, resume)
	v.flush()
}

// Forget drops what was put of a share and not written. What is being written when it is
// called is in the database when it returns.
func (v *Saver) Forget(id string) {
	v.writing.Lock()
	defer v.writing.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.rows, id)
	delete(v.resumes, id)
}

func (v *Saver) flush() {
	v.writing.Lock()
	defer v.writing.Unlock()
	v.mu.Lock()
	some, resumes := v.rows, v.resumes
	v.rows, v.resumes = make(map[string]Row), make(map[string]*Resume)
	v.mu.Unlock()
	if len(some) == 0 {
		return
	}
	rows := slices.Collect(maps.Values(some))
	if err := v.catalog.Save(rows, resumes); err != nil {
		v.again(some, resumes)
		v.failed(err)
	}
}

// again gives back what could not be written, unless something newer was put.
func (v *Saver) again(rows map[string]Row, resumes map[string]*Resume) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, r := range rows {
		if _, newer := v.rows[id]; !newer {
			v.rows[id], v.resumes[id] = r, resumes[id]
		}
	}
}

// Run writes what is put until ctx ends, and then what is left.
func (v *Saver) Run(ctx context.Context) {
	for {
		select {
		case <-v.kick:
		case <-ctx.Done():
			v.flush()
			return
		}
		v.flush()
		select {
		case <-time.After(gatherTime):
		case <-ctx.Done():
		}
	}
}

package store

import (
	"os"
	"sync"
	"sync/atomic"
)

// DefaultHandles is how many files all contents together keep open.
const DefaultHandles = 256

// maxFolders bounds the open folders kept for making and opening files.
const maxFolders = 64

// Handles is a bounded cache of open files and folders, shared by all
// contents of a node: 2,000 files need not mean 2,000 descriptors. It is safe
// for concurrent use. A descriptor is closed when it left the cache and the
// last call that uses it has returned, so a cached descriptor can never be
// mistaken for another file's.
type Handles struct {
	mu      sync.Mutex
	limit   int
	ring    []*handle // swept like a clock: a handle used since the last pass stays
	hand    int
	folders map[folderKey]*folder
	tick    uint64 // orders the use of folders
}

// NewHandles makes a cache of at most limit open files (DefaultHandles when
// limit is not positive). Files in use at one moment may exceed it briefly.
func NewHandles(limit int) *Handles {
	if limit <= 0 {
		limit = DefaultHandles
	}
	return &Handles{limit: limit, folders: make(map[folderKey]*folder)}
}

// Open reports how many files are cached open at this moment.
func (hs *Handles) Open() int {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return len(hs.ring)
}

// handle is one open file. It starts with the cache's reference; whoever uses
// the file holds one more.
type handle struct {
	f       *os.File
	owner   *atomic.Pointer[handle] // where users find it
	refs    atomic.Int32
	used    atomic.Bool  // since the clock's hand passed
	checked atomic.Int64 // when the file was last compared with its stamp
	final   atomic.Bool  // under its final name: never written
	pos     int          // in the ring; guarded by Handles.mu, -1 outside
}

// retain takes a reference; false when the file is already closed.
func (h *handle) retain() bool {
	for {
		n := h.refs.Load()
		if n <= 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			if !h.used.Load() {
				h.used.Store(true)
			}
			return true
		}
	}
}

// release gives a reference back and closes the file with the last one.
func (h *handle) release() {
	if h.refs.Add(-1) == 0 {
		// A failed close loses nothing that Sync would not report.
		_ = h.f.Close()
	}
}

// add puts a new file into the cache and into its owner's slot, and returns it
// with a reference for the caller.
func (hs *Handles) add(f *os.File, owner *atomic.Pointer[handle], now int64) *handle {
	h := &handle{f: f, owner: owner}
	h.refs.Store(2)
	h.used.Store(true)
	h.checked.Store(now)
	hs.mu.Lock()
	victim := hs.place(h)
	owner.Store(h)
	hs.mu.Unlock()
	if victim != nil {
		victim.owner.CompareAndSwap(victim, nil)
		victim.release()
	}
	return h
}

// place finds a seat in the ring and returns the handle that lost it.
func (hs *Handles) place(h *handle) (victim *handle) {
	if len(hs.ring) < hs.limit {
		h.pos = len(hs.ring)
		hs.ring = append(hs.ring, h)
		return nil
	}
	for range 2 * len(hs.ring) {
		if !hs.ring[hs.hand].used.Swap(false) {
			break
		}
		hs.hand = (hs.hand + 1) % len(hs.ring)
	}
	victim = hs.ring[hs.hand]
	victim.pos = -1
	h.pos = hs.hand
	hs.ring[hs.hand] = h
	hs.hand = (hs.hand + 1) % len(hs.ring)
	return victim
}

// drop takes a slot's file out of the cache; users finish first.
func (hs *Handles) drop(slot *atomic.Pointer[handle]) {
	h := slot.Swap(nil)
	if h == nil {
		return
	}
	hs.mu.Lock()
	cached := h.pos >= 0
	if cached {
		last := len(hs.ring) - 1
		hs.ring[h.pos] = hs.ring[last]
		hs.ring[h.pos].pos = h.pos
		hs.ring[last] = nil
		hs.ring = hs.ring[:last]
		if hs.hand >= last {
			hs.hand = 0
		}
		h.pos = -1
	}
	hs.mu.Unlock()
	if cached {
		h.release()
	}
}

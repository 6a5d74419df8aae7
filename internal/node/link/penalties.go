package link

import (
	"maps"
	"sync"
)

// Penalties counts what peers were refused for. The zero value is ready; it is safe for
// concurrent use.
type Penalties struct {
	mu sync.Mutex
	by map[string]int64
}

// Add counts one, by a fixed reason and what was done.
func (p *Penalties) Add(reason, action string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = make(map[string]int64)
	}
	p.by[reason+"/"+action]++
}

// All are the refusals so far, by "reason/action".
func (p *Penalties) All() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.by)
}

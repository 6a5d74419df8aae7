package lan

// memory is a map that keeps the newest entries: when it is full, the one that came
// first goes, however many strangers make.
type memory[K comparable, V any] struct {
	entries map[K]*V
	ring    []K // in order of coming; full when len is the limit
	next    int // of the ring: the oldest
	limit   int
}

func newMemory[K comparable, V any](limit int) memory[K, V] {
	return memory[K, V]{entries: map[K]*V{}, limit: limit}
}

// get gives the entry of a key, made where there is none.
func (m *memory[K, V]) get(k K) (v *V, isNew bool) {
	if v, ok := m.entries[k]; ok {
		return v, false
	}
	if len(m.ring) < m.limit {
		m.ring = append(m.ring, k)
	} else {
		delete(m.entries, m.ring[m.next])
		m.ring[m.next] = k
		m.next = (m.next + 1) % m.limit
	}
	v = new(V)
	m.entries[k] = v
	return v, true
}

package sim

import "time"

// Queue holds events until their time comes. Events of the same time come in the order in which they were put. The zero
// Queue is empty and stands at time zero.
type Queue[E any] struct {
	heap []entry[E]
	seq  uint64
	now  time.Duration
}

type entry[E any] struct {
	at  time.Duration
	seq uint64
	e   E
}

func (a *entry[E]) before(b *entry[E]) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// fan is how many children a place of the heap has: with four, a deep heap touches half as much memory as with two.
const fan = 4

// Now is the time of the event that was taken last.
func (q *Queue[E]) Now() time.Duration { return q.now }

// Len is how many events wait.
func (q *Queue[E]) Len() int { return len(q.heap) }

// Put adds an event. What should have happened in the past happens now.
func (q *Queue[E]) Put(at time.Duration, e E) {
	x := entry[E]{max(at, q.now), q.seq, e}
	q.seq++
	q.heap = append(q.heap, x)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / fan
		if q.heap[up].before(&x) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = x
}

// Next is the event that Take would give, if it happens right now.
func (q *Queue[E]) Next() (e *E, ok bool) {
	if len(q.heap) == 0 || q.heap[0].at > q.now {
		return nil, false
	}
	return &q.heap[0].e, true
}

// Take removes the next event and moves the time to it, unless it lies beyond until: then the time moves to until.
func (q *Queue[E]) Take(until time.Duration) (e E, ok bool) {
	if len(q.heap) == 0 || q.heap[0].at > until {
		q.now = max(q.now, until)
		return e, false
	}
	first := q.heap[0]
	last := len(q.heap) - 1
	x := q.heap[last]
	q.heap[last] = entry[E]{}
	q.heap = q.heap[:last]
	if last > 0 {
		q.sink(x)
	}
	q.now = first.at
	return first.e, true
}

// sink finds the place of x from the top.
func (q *Queue[E]) sink(x entry[E]) {
	i := 0
	for {
		child := fan*i + 1
		if child >= len(q.heap) {
			break
		}
		best := child
		for c := child + 1; c < min(child+fan, len(q.heap)); c++ {
			if q.heap[c].before(&q.heap[best]) {
				best = c
			}
		}
		if x.before(&q.heap[best]) {
			break
		}
		q.heap[i] = q.heap[best]
		i = best
	}
	q.heap[i] = x
}

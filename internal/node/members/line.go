package members

import (
	"context"
	"slices"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/ident"
)

// line is one member that is asked.
type line struct {
	a    *asks
	id   ident.NodeID
	wake chan struct{}

	// Guarded by asks.mu.
	open  bool
	asked map[[20]byte]bool
	has   map[[20]byte]bool // it said so
	fails int
	again time.Time
}

func newLine(a *asks, id ident.NodeID) *line {
	return &line{a: a, id: id, wake: make(chan struct{}, 1)}
}

func (l *line) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// holds tells that the member said that it holds one of these; under the lock.
func (l *line) holds(names [][20]byte) bool {
	return slices.ContainsFunc(names, func(n [20]byte) bool { return l.has[n] })
}

// run asks over one stream until nothing is sought or the stream ends.
func (l *line) run() {
	a := l.a
	a.mu.Lock()
	l.asked, l.has = make(map[[20]byte]bool), make(map[[20]byte]bool)
	a.mu.Unlock()
	ok := false
	st, err := a.s.open(a.s.ctx, l.id, AskProtocol)
	if err == nil {
		ok = l.converse(st)
		st.Close()
	}
	a.mu.Lock()
	l.open, l.has = false, nil
	if ok {
		l.fails, l.again = 0, time.Now()
	} else {
		l.again = time.Now().Add(min(lineFirst<<min(l.fails, 10), lineMost))
		l.fails++
	}
	a.mu.Unlock()
	a.rouse()
}

// converse asks and listens; true if it ended because there is nothing to ask.
func (l *line) converse(st *overlay.Stream) bool {
	ctx, cancel := context.WithCancel(l.a.s.ctx)
	heard := make(chan struct{})
	defer func() { cancel(); st.Reset(); <-heard }()
	go func() {
		defer close(heard)
		defer cancel()
		for p := newPace(noteRate, noteBurst); p.wait(ctx); {
			n, err := readNote(st)
			if err != nil {
				return
			}
			l.a.bytes.Add(noteSize)
			l.a.said(l, n)
		}
	}()
	idle := time.NewTimer(lineIdle)
	defer idle.Stop()
	for {
		b, asking := l.questions()
		if len(b) > 0 {
			st.SetWriteDeadline(time.Now().Add(noteTime))
			if _, err := st.Write(b); err != nil {
				return false
			}
			l.a.bytes.Add(int64(len(b)))
		}
		if asking {
			idle.Reset(lineIdle)
		}
		select {
		case <-l.wake:
		case <-idle.C:
			if !asking {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// questions are the notes that bring the member up to date, and whether anything is asked.
func (l *line) questions() (b []byte, asking bool) {
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	want := l.a.wanted(l.id)
	for n := range l.asked {
		if !want[n] {
			delete(l.asked, n)
			delete(l.has, n)
			b = note{false, n}.append(b)
		}
	}
	for n := range want {
		if !l.asked[n] {
			l.asked[n] = true
			b = note{true, n}.append(b)
			l.a.questions.Add(1)
		}
	}
	return b, len(want) > 0
}

// asker is a member that asks this node.
type asker struct {
	a    *asks
	id   ident.NodeID
	wake chan struct{}

	// Guarded by asks.mu.
	asked map[[20]byte]bool // and whether it was told that it is here
}

func (k *asker) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// changed has those who ask for a hash told what is new; under the lock.
func (a *asks) changed(n [20]byte) {
	for k := range a.askers {
		if _, asked := k.asked[n]; asked {
			k.rouse()
		}
	}
}

// met says that a member is connected anew: what failed before does not count.
func (a *asks) met(id ident.NodeID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.lines[id]; l != nil {
		l.fails, l.again = 0, time.Time{}
	}
}

// recheck looks again at who may hear of what.
func (a *asks) recheck() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k := range a.askers {
		k.rouse()
	}
}

// serve answers a member that asks.
func (a *asks) serve(st *overlay.Stream) {
	k := &asker{a: a, id: st.Peer(), wake: make(chan struct{}, 1), asked: make(map[[20]byte]bool)}
	a.mu.Lock()
	a.askers[k] = true
	a.mu.Unlock()
	ctx, cancel := context.WithCancel(a.s.ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		defer st.Reset() // ends the reading below
		k.answer(ctx, st)
	}()
	for p := newPace(noteRate, noteBurst); p.wait(ctx); {
		n, err := readNote(st)
		if err != nil || !k.asks(n) {
			break
		}
		a.bytes.Add(noteSize)
	}
	cancel()
	<-told
	a.mu.Lock()
	delete(a.askers, k)
	a.mu.Unlock()
}

// asks notes a question; false if they are too many.
func (k *asker) asks(n note) bool {
	k.a.mu.Lock()
	defer k.a.mu.Unlock()
	_, had := k.asked[n.hash]
	switch {
	case !n.yes:
		delete(k.asked, n.hash)
	case !had && len(k.asked) >= maxAsked:
		return false
	case !had:
		k.asked[n.hash] = false
		k.rouse()
	}
	return true
}

// answer tells what is here, and when that changes.
func (k *asker) answer(ctx context.Context, st *overlay.Stream) {
	for {
		if b := k.news(); len(b) > 0 {
			st.SetWriteDeadline(time.Now().Add(noteTime))
			if _, err := st.Write(b); err != nil {
				return
			}
			k.a.bytes.Add(int64(len(b)))
		}
		select {
		case <-k.wake:
		case <-ctx.Done():
			return
		}
	}
}

// news are the notes of what is otherwise than the asker was told. Of what is not here, or
// not for it, it hears nothing.
func (k *asker) news() (b []byte) {
	a := k.a
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, told := range k.asked {
		id, here := a.names[n]
		if here = here && a.s.mayKnow(k.id, a.offers[id]); here != told {
			k.asked[n] = here
			b = note{here, n}.append(b)
		}
	}
	return b
}

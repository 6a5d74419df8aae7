package members

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Bounds of the streams of DHTs.
const (
	maxPipes  = 512              // streams, of both sides
	maxServed = 2                // that one member opened for one group: the second while the first ends
	pipeQueue = 64               // messages that wait for one
	pipeIdle  = time.Minute      // after which the opener closes it
	pipeSlack = time.Minute      // after which the other side does
	pipeTime  = 10 * time.Second // to open one, to name the group, to write
	coldTime  = 30 * time.Second // that a member is let alone who could not be reached
	maxCold   = 1024
	pipeRate  = 100 // messages a second that are heard of one stream
	pipeBurst = 500
)

// pipes carry the messages of groups' DHTs: to each member of each group one stream, in both
// directions, whoever opened it. Like a datagram, a message that finds no way is lost.
type pipes struct {
	d *dhts

	mu   sync.Mutex
	open map[pipeKey]*pipe // that messages are sent over
	all  map[*pipe]bool
	cold map[ident.NodeID]time.Time
}

// pipeKey is whom a pipe leads to, and in which group.
type pipeKey struct {
	group group.ID
	peer  ident.NodeID
}

// pipe is one stream, or one that is being opened.
type pipe struct {
	pipeKey
	theirs bool // the member opened it
	out    chan []byte
	used   atomic.Int64 // unix nanoseconds
	cancel context.CancelFunc
}

func (p *pipes) init(d *dhts) {
	p.d, p.open, p.all, p.cold = d, make(map[pipeKey]*pipe), make(map[*pipe]bool), make(map[ident.NodeID]time.Time)
}

// send sends one message. It never waits and does not keep b.
func (p *pipes) send(g group.ID, to netip.AddrPort, b []byte) {
	id, ok := p.d.s.groups.NodeAt(to.Addr())
	if !ok || !p.d.s.groups.Member(g, id) || len(b) > maxDatagram {
		return
	}
	key := pipeKey{g, id}
	p.mu.Lock()
	at := p.open[key]
	if at == nil && time.Now().After(p.cold[id]) {
		var ctx context.Context
		if at, ctx = p.add(key, true); at != nil {
			p.d.s.spawn(func() { p.lead(ctx, at) })
		}
	}
	p.mu.Unlock()
	if at == nil {
		return
	}
	select {
	case at.out <- append([]byte(nil), b...):
	default:
	}
}

// add makes a pipe, nil if there are too many; under the lock. Of two to one member it is
// the first that carries what is sent, unless it is ours to open.
func (p *pipes) add(key pipeKey, first bool) (*pipe, context.Context) {
	if len(p.all) >= maxPipes || !first && p.served(key) >= maxServed {
		return nil, nil
	}
	at := &pipe{pipeKey: key, out: make(chan []byte, pipeQueue), theirs: !first}
	at.used.Store(time.Now().UnixNano())
	ctx, cancel := context.WithCancel(p.d.s.ctx)
	at.cancel = cancel
	p.all[at] = true
	if first || p.open[key] == nil {
		p.open[key] = at
	}
	return at, ctx
}

// served is how many pipes a member has opened for a group; under the lock.
func (p *pipes) served(key pipeKey) (n int) {
	for at := range p.all {
		if at.theirs && at.pipeKey == key {
			n++
		}
	}
	return n
}

// remove forgets a pipe that has ended.
func (p *pipes) remove(at *pipe) {
	at.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, at)
	if p.open[at.pipeKey] == at {
		delete(p.open, at.pipeKey)
	}
}

// recheck ends the pipes of who is in the group no more.
func (p *pipes) recheck() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := range p.all {
		if p.d.get(at.group) == nil || !p.d.s.groups.Member(at.group, at.peer) {
			at.cancel()
		}
	}
}

// lead opens a stream to a member and carries messages over it until it is idle.
func (p *pipes) lead(ctx context.Context, at *pipe) {
	defer p.remove(at)
	opening, cancel := context.WithTimeout(ctx, pipeTime)
	st, err := p.d.s.open(opening, at.peer, DHTProtocol)
	cancel()
	if err != nil {
		p.mu.Lock()
		if len(p.cold) >= maxCold {
			clear(p.cold)
		}
		p.cold[at.peer] = time.Now().Add(coldTime)
		p.mu.Unlock()
		return
	}
	p.carry(ctx, at, st, at.group[:], pipeIdle)
}

// serve takes a stream that a member opened.
func (p *pipes) serve(st *overlay.Stream) {
	defer st.Reset()
	st.SetReadDeadline(time.Now().Add(pipeTime))
	g, err := readGroup(st)
	if err != nil || !p.d.s.groups.Member(g, st.Peer()) || p.d.get(g) == nil {
		return
	}
	st.SetReadDeadline(time.Time{})
	p.mu.Lock()
	at, ctx := p.add(pipeKey{g, st.Peer()}, false)
	p.mu.Unlock()
	if at == nil {
		return
	}
	defer p.remove(at)
	p.carry(ctx, at, st, nil, pipeIdle+pipeSlack)
}

// carry carries messages both ways until the stream ends, or has not been used for a time.
func (p *pipes) carry(ctx context.Context, at *pipe, st *overlay.Stream, first []byte, idle time.Duration) {
	heard := make(chan struct{})
	defer func() { at.cancel(); st.Reset(); <-heard }()
	go func() {
		defer close(heard)
		defer at.cancel()
		p.listen(ctx, at, st)
	}()
	t := time.NewTimer(idle)
	defer t.Stop()
	b := first
	for {
		if len(b) > 0 {
			st.SetWriteDeadline(time.Now().Add(pipeTime))
			if _, err := st.Write(b); err != nil {
				return
			}
			b = b[:0:0]
		}
		select {
		case m := <-at.out:
			at.used.Store(time.Now().UnixNano())
			b = appendDatagram(b, m)
			for len(at.out) > 0 && len(b) < maxDatagram {
				b = appendDatagram(b, <-at.out)
			}
		case <-t.C:
			left := idle - time.Since(time.Unix(0, at.used.Load()))
			if left <= 0 {
				return
			}
			t.Reset(left)
		case <-ctx.Done():
			return
		}
	}
}

// listen passes on what comes.
func (p *pipes) listen(ctx context.Context, at *pipe, st *overlay.Stream) {
	from, buf := at.peer.Addr(), make([]byte, maxDatagram)
	for pace := newPace(pipeRate, pipeBurst); pace.wait(ctx); {
		m, err := readDatagram(st, buf)
		if err != nil {
			return
		}
		to := p.d.get(at.group)
		if to == nil || !p.d.s.groups.Member(at.group, at.peer) {
			return
		}
		at.used.Store(time.Now().UnixNano())
		to.Datagram(m, from)
	}
}

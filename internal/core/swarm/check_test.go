package swarm

import (
	"fmt"
	"slices"

	"shoal/internal/core/swarm/pieces"
)

// check compares every counter of the node's T with a count from scratch.
func (w *world) check(n *node) {
	w.t.Helper()
	if err := n.t.consistent(); err != nil {
		w.t.Fatalf("%v: node %d: %v", w.now, n.id, err)
	}
}

// consistent counts from scratch what T keeps count of, and looks for blocks that nobody
// will bring. It holds after every Step.
func (t *T) consistent() error {
	if t.info == nil {
		return nil
	}
	for _, f := range []func() error{t.checkPieces, t.checkOpen, t.checkPeers, t.checkAvailability, t.checkQueues} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (t *T) checkPieces() error {
	if t.have.Count() != t.nHave || t.needed.Count() != t.nNeeded || t.wanted.Count() != t.nWanted {
		return fmt.Errorf("have %d of %d, needed %d of %d", t.nHave, t.have.Count(), t.nNeeded, t.needed.Count())
	}
	for p := range t.pieces {
		open := t.opened(p) != nil
		switch {
		case t.needed.Has(p) != (!t.have.Has(p) && t.prio[p] > 0):
			return fmt.Errorf("piece %d: needed %v", p, t.needed.Has(p))
		case t.wanted.Has(p) != (t.needed.Has(p) && !open):
			return fmt.Errorf("piece %d: wanted %v", p, t.wanted.Has(p))
		case t.have.Has(p) && open:
			return fmt.Errorf("piece %d is there and open", p)
		}
		for prio := 1; prio <= 3; prio++ {
			if r := t.order[prio]; r != nil && (r.Index(p) >= 0) != (t.wanted.Has(p) && int(t.prio[p]) == prio) {
				return fmt.Errorf("piece %d: in class %d", p, prio)
			}
		}
	}
	return nil
}

// checkOpen: each block that was asked for has a request outstanding at its holder.
func (t *T) checkOpen() error {
	free, sole := 0, 0
	for i, o := range t.open {
		if t.opened(o.p) != o || int(t.openAt[o.p]) != i {
			return fmt.Errorf("piece %d is not where it should be", o.p)
		}
		if o.sole {
			sole++
		}
		f, missing := 0, 0
		for b, k := range o.blocks {
			switch k.state {
			case blockFree:
				f, missing = f+1, missing+1
				if b < o.scan {
					return fmt.Errorf("piece %d: block %d before %d is free", o.p, b, o.scan)
				}
				continue
			case blockCame:
				continue
			}
			missing++
			for j, id := range [2]Peer{k.holder, k.second} {
				if id == NoPeer && j == 1 {
					continue
				}
				q := t.peer(id)
				if q == nil || !slices.ContainsFunc(q.reqs[q.head:], func(r request) bool { return r.piece == o.p && int(r.block) == b }) {
					return fmt.Errorf("piece %d block %d: peer %d was not asked", o.p, b, id)
				}
				if o.sole && id != o.alone {
					return fmt.Errorf("piece %d block %d: asked of %d and not of %d alone", o.p, b, id, o.alone)
				}
			}
		}
		if f != o.free || missing != o.missing || o.full != (missing == 0) {
			return fmt.Errorf("piece %d: free %d of %d, missing %d of %d, full %v", o.p, o.free, f, o.missing, missing, o.full)
		}
		if o.sole && len(o.senders) > 1 {
			return fmt.Errorf("piece %d comes from %d senders", o.p, len(o.senders))
		}
		free += f
	}
	if free != t.nFree || sole != t.nSole {
		return fmt.Errorf("free %d of %d, sole %d of %d", t.nFree, free, t.nSole, sole)
	}
	return nil
}

func (t *T) checkPeers() error {
	for _, id := range t.live {
		p := t.peers[id]
		if p.bits == nil {
			continue
		}
		if n := p.bits.Count(); n != p.nBits || p.seed && n != int(t.pieces) {
			return fmt.Errorf("peer %d: %d pieces of %d", id, p.nBits, n)
		}
		if p.closing {
			continue
		}
		if n := p.bits.Common(t.needed); n != p.useful {
			return fmt.Errorf("peer %d: %d useful of %d", id, p.useful, n)
		}
		if p.interested != (p.useful > 0 && !t.paused) {
			return fmt.Errorf("peer %d: interested %v with %d useful pieces", id, p.interested, p.useful)
		}
		if p.choked && !p.fast() && p.pending() > 0 {
			return fmt.Errorf("peer %d: requests while choked", id)
		}
		if t.paused && p.pending() > 0 {
			return fmt.Errorf("peer %d: requests while paused", id)
		}
	}
	return nil
}

func (t *T) checkAvailability() error {
	count := make([]uint16, t.pieces)
	for _, id := range t.live {
		if p := t.peers[id]; !p.seed && p.bits != nil {
			for i := p.bits.Next(p.bits, 0); i >= 0; i = p.bits.Next(p.bits, uint32(i)+1) {
				count[i]++
			}
		}
	}
	if !slices.Equal(count, t.avail) {
		return fmt.Errorf("availability %v, should be %v", t.avail, count)
	}
	for prio, r := range t.order {
		if r == nil {
			continue
		}
		if err := ordered(r, t.avail); err != nil {
			return fmt.Errorf("class %d: %w", prio, err)
		}
	}
	return nil
}

// ordered checks that the pieces stand by their counts.
func ordered(r *pieces.Order, avail []uint16) error {
	for i, p := range r.List() {
		if r.Index(p) != i || i > 0 && avail[r.List()[i-1]] > avail[p] {
			return fmt.Errorf("piece %d of count %d is at %d", p, avail[p], i)
		}
	}
	return nil
}

// checkQueues: everything fed by peers has its bound.
func (t *T) checkQueues() error {
	if t.choker.next > t.now && t.wake > t.choker.next && len(t.live) > 0 {
		return fmt.Errorf("the wake-up for who is to be served is lost: %v and not %v", t.wake, t.choker.next)
	}
	for _, id := range t.live {
		p := t.peers[id]
		if p.lookAt > t.now && p.lookAt < t.wake || len(p.later) > 0 && p.later[0].at+deferTime < t.wake && p.later[0].at+deferTime > t.now {
			return fmt.Errorf("peer %d: a wake-up is lost: %v", id, t.wake)
		}
		switch {
		case p.pending() > maxQueue, len(p.ghosts) > maxGhosts, len(p.queue)-p.qhead+len(p.later) > maxQueue,
			len(p.suggested) > maxSuggested, len(p.fastGot) > maxSuggested, len(p.refused) > maxRefused,
			len(p.turned) > maxTurned, len(p.suggestions) > maxSuggested, len(p.early.haves) > maxEarlyHaves:
			return fmt.Errorf("peer %d: a list is over its bound", id)
		case p.qhead < len(p.queue) && t.paused:
			return fmt.Errorf("peer %d: requests are kept while paused", id)
		}
		for _, u := range p.queue[p.qhead:] {
			if !t.have.Has(u.piece) || p.choking && !slices.Contains(p.fastGiven, u.piece) {
				return fmt.Errorf("peer %d: piece %d is queued and must not be", id, u.piece)
			}
		}
		if !t.source.many && !t.source.stale && len(p.later) > 0 {
			return fmt.Errorf("peer %d: requests wait for nobody", id)
		}
	}
	return nil
}

package swarm

import (
	"bytes"
	"slices"
	"time"
)

// Constants of BEP 9.
const (
	MetaPieceLen = 16 << 10
	MaxMetadata  = 16 << 20 // limits card: the largest seen in the wild is a quarter of it
	metaTimeout  = 8 * time.Second
	metaPatience = 15 * time.Second // how long one size is tried before another that is offered; doubles each time
	metaPerPeer  = 4                // requests outstanding at a peer
)

// metadata collects the info dictionary from peers. Nothing is allocated for a size
// that a peer claims: pieces are kept as they come.
type metadata struct {
	size     int // what is collected now, 0 = nothing yet
	parts    [][]byte
	got      int
	asked    []metaAsk // by piece
	sources  []sender  // who sent the parts
	judged   bool      // all came; the driver's verdict is awaited
	single   bool      // a mixture was wrong: one peer alone is asked
	solo     Peer      // that peer
	begun    time.Duration
	patience time.Duration
}

type metaAsk struct {
	by Peer
	at time.Duration
}

// drop forgets what was collected.
func (m *metadata) drop() {
	*m = metadata{solo: NoPeer, single: m.single, patience: m.patience}
}

func (t *T) beginMeta(size int) {
	m := &t.meta
	m.drop()
	n := (size + MetaPieceLen - 1) / MetaPieceLen
	m.size, m.begun = size, t.now
	m.patience = max(m.patience, metaPatience)
	m.parts, m.asked, m.sources = make([][]byte, n), make([]metaAsk, n), make([]sender, n)
	for i := range m.asked {
		m.asked[i].by = NoPeer
	}
}

// leftMeta notes that a peer is gone.
func (t *T) leftMeta(p *peer) {
	m := &t.meta
	if m.judged || m.size == 0 {
		return
	}
	if m.solo == p.id {
		m.drop()
		t.nextMeta()
		return
	}
	for i := range m.asked {
		if m.asked[i].by == p.id {
			m.asked[i].by = NoPeer
		}
	}
	t.askMeta()
}

// gotMeta takes the messages of BEP 9.
func (t *T) gotMeta(p *peer, e *Event) {
	if e.Kind == GotMetaRequest {
		t.serveMeta(p, e.P)
		return
	}
	m := &t.meta
	if t.info != nil {
		return
	}
	switch e.Kind {
	case GotMetaSize:
		if e.N > MaxMetadata {
			t.out.add(Effect{Kind: Penalise, Peer: p.id, Reason: ReasonBadMetadata})
			return
		}
		p.metaSize = int(e.N)
		t.nextMeta()
	case GotMetaReject:
		if int(e.P) < len(m.asked) && m.asked[e.P].by == p.id && !m.judged {
			m.asked[e.P].by = NoPeer
			t.shunMeta(p)
			t.nextMeta()
		}
	case GotMetaData:
		t.gotMetaData(p, e)
	}
}

// shunMeta leaves a peer that refused or was silent alone for a while.
func (t *T) shunMeta(p *peer) {
	p.metaRetry = t.now + metaTimeout
	if t.meta.solo == p.id {
		t.meta.drop()
	}
}

func (t *T) gotMetaData(p *peer, e *Event) {
	m := &t.meta
	if m.judged || int(e.P) >= len(m.asked) || m.asked[e.P].by != p.id {
		return
	}
	want := min(MetaPieceLen, m.size-int(e.P)*MetaPieceLen)
	if len(e.Data) != want || int(e.N) != m.size {
		t.close(p, ReasonBadMetadata, true)
		return
	}
	m.parts[e.P] = append([]byte(nil), e.Data...)
	m.sources[e.P] = sender{p.key, p.nth}
	m.got++
	m.asked[e.P].by = NoPeer
	if m.got < len(m.parts) {
		t.askMeta()
		return
	}
	m.judged = true
	t.out.add(Effect{Kind: MetaComplete, Peer: NoPeer, Data: bytes.Join(m.parts, nil)})
}

// metaBad takes the verdict that the dictionary of the last MetaComplete has another
// hash. If it came from one peer, that one is banned; else the next try takes it from one
// peer alone.
func (t *T) metaBad() {
	m := &t.meta
	if !m.judged {
		return
	}
	first := m.sources[0]
	alone := !slices.ContainsFunc(m.sources, func(s sender) bool { return s.nth != first.nth })
	m.drop()
	m.single = true
	if alone {
		t.blame.ban(first.key)
		for _, id := range t.live {
			if q := t.peers[id]; q.key == first.key {
				t.close(q, ReasonBadMetadata, true)
			}
		}
	}
	t.nextMeta()
}

// metaReady tells whether the peer can be asked for a dictionary of some size.
func (t *T) metaReady(p *peer) bool {
	return !p.closing && p.metaSize > 0 && t.now >= p.metaRetry
}

// nextMeta begins to collect if nothing is being collected, and asks. Of those that are
// to be asked alone, who was tried least comes first.
func (t *T) nextMeta() {
	m := &t.meta
	if t.info != nil || m.judged {
		return
	}
	if m.size == 0 {
		var best *peer
		for _, id := range t.live {
			if p := t.peers[id]; t.metaReady(p) && (best == nil || p.metaTries < best.metaTries) {
				best = p
			}
		}
		if best == nil {
			return
		}
		best.metaTries++
		t.beginMeta(best.metaSize)
		if m.single {
			m.solo = best.id
		}
	}
	t.askMeta()
}

// askMeta asks for parts that nobody is asked for.
func (t *T) askMeta() {
	m := &t.meta
	if t.info != nil || m.size == 0 || m.judged || t.paused {
		return
	}
	for _, id := range t.live {
		q := t.peers[id]
		if !t.metaReady(q) || q.metaSize != m.size || m.solo != NoPeer && m.solo != id {
			continue
		}
		out := 0
		for _, a := range m.asked {
			if a.by == id {
				out++
			}
		}
		for i := range m.asked {
			if out < metaPerPeer && m.parts[i] == nil && m.asked[i].by == NoPeer {
				m.asked[i] = metaAsk{id, t.now}
				t.out.sendPiece(SendMetaRequest, id, uint32(i))
				out++
			}
		}
	}
}

// tickMeta asks others for what did not come in time, and tries another size when there
// is one: who offered the first may have made it up.
func (t *T) tickMeta() {
	m := &t.meta
	if m.judged {
		return
	}
	for i := 0; i < len(m.asked); i++ {
		if a := &m.asked[i]; a.by != NoPeer && t.now-a.at > metaTimeout {
			p := t.peers[a.by]
			a.by = NoPeer
			t.shunMeta(p) // may drop everything
		}
	}
	if m.size > 0 && (t.now-m.begun > m.patience || !t.metaOffered()) {
		t.otherSize()
	}
	t.nextMeta()
}

// metaOffered tells that somebody who offers this size is left to ask.
func (t *T) metaOffered() bool {
	return slices.ContainsFunc(t.live, func(id Peer) bool {
		p := t.peers[id]
		return !p.closing && p.metaSize == t.meta.size
	})
}

// otherSize gives the size up if another is offered. Those that offered it come last from
// now on.
func (t *T) otherSize() {
	m := &t.meta
	other := slices.ContainsFunc(t.live, func(id Peer) bool {
		p := t.peers[id]
		return t.metaReady(p) && p.metaSize != m.size
	})
	if !other {
		m.begun = t.now
		if !t.metaOffered() {
			m.drop()
		}
		return
	}
	for _, id := range t.live {
		if p := t.peers[id]; p.metaSize == m.size {
			p.metaTries++
		}
	}
	m.patience *= 2
	m.drop()
}

// serveMeta answers a request for metadata; one that asks for more than twice the whole
// is refused. The driver may have the dictionary before SetInfo, and refuses if it has not.
func (t *T) serveMeta(p *peer, piece uint32) {
	p.metaServed++
	if p.metaServed > 2*MaxMetadata/MetaPieceLen {
		t.out.sendPiece(SendMetaReject, p.id, piece)
		return
	}
	t.out.sendPiece(SendMetaData, p.id, piece)
}

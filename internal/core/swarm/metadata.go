package swarm

import (
	"slices"
	"time"
)

// Constants of BEP 9.
const (
	MetaPieceLen = 16 << 10
	MaxMetadata  = 16 << 20 // limits card: the largest seen in the wild is a quarter of it
	metaSlow     = time.Second
	metaTimeout  = 8 * time.Second // without an answer, and how long who gave none is left alone
	metaPatience = 4 * time.Second // how long one size is tried before another that is offered, half of it without a part; doubles each time
	metaPerPeer  = 4               // requests outstanding at a peer
)

// metadata collects the info dictionary from peers. Nothing is allocated for a size
// that a peer claims but a word for each part: parts are kept as they come. A part that is
// not there after metaSlow is asked of one more peer, at once of one with nothing to do:
// the first answer counts, and the hash of the whole judges.
type metadata struct {
	size     int // what is collected now, 0 = nothing yet
	parts    []metaPart
	asks     []metaAsk // outstanding, oldest first; at most metaPerPeer of each peer
	got      int
	judged   bool // all came; the driver's verdict is awaited
	single   bool // a mixture was wrong: one peer alone is asked
	solo     Peer // that peer
	begun    time.Duration
	came     time.Duration // the last part, or begun
	patience time.Duration
}

type metaPart struct {
	data []byte
	from sender
	out  int           // peers that are asked for it
	at   time.Duration // when the last of them was
}

type metaAsk struct {
	by   Peer
	part uint32
	at   time.Duration
}

// drop forgets what was collected.
func (m *metadata) drop() {
	*m = metadata{solo: NoPeer, single: m.single, patience: m.patience}
}

func (t *T) beginMeta(size int) {
	m := &t.meta
	m.drop()
	m.size, m.begun, m.came = size, t.now, t.now
	m.patience = max(m.patience, metaPatience)
	m.parts = make([]metaPart, (size+MetaPieceLen-1)/MetaPieceLen)
}

// asked is the index of an outstanding request, -1 if there is none.
func (m *metadata) asked(by Peer, part uint32) int {
	return slices.IndexFunc(m.asks, func(a metaAsk) bool { return a.by == by && a.part == part })
}

// forget takes back what a peer is asked for.
func (m *metadata) forget(by Peer) {
	m.asks = slices.DeleteFunc(m.asks, func(a metaAsk) bool {
		if a.by == by {
			m.parts[a.part].out--
		}
		return a.by == by
	})
}

// leftMeta notes that a peer is gone.
func (t *T) leftMeta(p *peer) {
	m := &t.meta
	if m.judged || m.size == 0 {
		return
	}
	m.forget(p.id)
	if m.solo == p.id {
		m.drop()
		t.nextMeta()
		return
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
		if !m.judged && m.asked(p.id, e.P) >= 0 {
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
	t.meta.forget(p.id)
	if t.meta.solo == p.id {
		t.meta.drop()
	}
}

func (t *T) gotMetaData(p *peer, e *Event) {
	m := &t.meta
	i := m.asked(p.id, e.P)
	if m.judged || i < 0 {
		return
	}
	want := min(MetaPieceLen, m.size-int(e.P)*MetaPieceLen)
	if len(e.Data) != want || int(e.N) != m.size {
		t.close(p, ReasonBadMetadata, true)
		return
	}
	m.asks = slices.Delete(m.asks, i, i+1)
	for i := range m.asks {
		if m.asks[i].by == p.id {
			m.asks[i].at = t.now // it is at it
		}
	}
	x := &m.parts[e.P]
	x.out--
	if x.data == nil {
		x.data, x.from = append([]byte(nil), e.Data...), sender{p.key, p.nth}
		m.came = t.now
		m.got++
	}
	if m.got < len(m.parts) {
		t.askMeta()
		return
	}
	m.judged = true
	all := make([]byte, 0, m.size)
	for i := range m.parts {
		all = append(all, m.parts[i].data...)
	}
	t.out.add(Effect{Kind: MetaComplete, Peer: NoPeer, Data: all})
}

// metaBad takes the verdict that the dictionary of the last MetaComplete has another
// hash. If it came from one peer, that one is banned; else the next try takes it from one
// peer alone.
func (t *T) metaBad() {
	m := &t.meta
	if !m.judged {
		return
	}
	first := m.parts[0].from
	alone := !slices.ContainsFunc(m.parts, func(x metaPart) bool { return x.from.nth != first.nth })
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

// askMeta asks for parts that nobody is asked for, and a second time for those that are
// slow to come.
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
		for _, a := range m.asks {
			if a.by == id {
				out++
			}
		}
		out = t.askMetaOf(id, out, func(x *metaPart) bool { return x.out == 0 })
		idle := out == 0
		t.askMetaOf(id, out, func(x *metaPart) bool { return idle && x.out == 1 || t.now-x.at >= metaSlow })
	}
}

// askMetaOf asks a peer, of which out parts are outstanding, for those that fit. It
// returns how many are then.
func (t *T) askMetaOf(id Peer, out int, fits func(x *metaPart) bool) int {
	m := &t.meta
	for i := 0; i < len(m.parts) && out < metaPerPeer; i++ {
		x := &m.parts[i]
		if x.data != nil || !fits(x) || x.out > 0 && m.asked(id, uint32(i)) >= 0 {
			continue
		}
		x.out++
		x.at = t.now
		m.asks = append(m.asks, metaAsk{id, uint32(i), t.now})
		t.out.sendPiece(SendMetaRequest, id, uint32(i))
		out++
	}
	return out
}

// tickMeta leaves those alone who do not answer, and tries another size when there is one:
// who offered the first may have made it up.
func (t *T) tickMeta() {
	m := &t.meta
	if m.judged {
		return
	}
	for i := 0; i < len(m.asks); i++ {
		p := t.peers[m.asks[i].by]
		limit := metaTimeout
		if m.solo == p.id { // nobody else is asked meanwhile: soon at first
			limit = min(metaSlow<<min(p.metaTries, 8), metaTimeout)
		}
		if t.now-m.asks[i].at > limit {
			t.shunMeta(p) // may drop everything
			i = -1
		}
	}
	if m.size > 0 && (t.now-m.begun > m.patience || t.now-m.came > m.patience/2 || !t.metaOffered()) {
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

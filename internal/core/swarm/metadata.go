package swarm

import "time"

// Constants of BEP 9.
const (
	MetaPieceLen = 16 << 10
	MaxMetadata  = 16 << 20 // limits card: the largest seen in the wild is a quarter of it
	metaTimeout  = 8 * time.Second
	metaPerPeer  = 4 // requests outstanding at a peer
)

// metadata collects the info dictionary from peers. Nothing is allocated for a size
// that a peer claims: pieces are kept as they come.
type metadata struct {
	known   bool // SetInfo was called: peers are to be judged by it
	size    int  // what is collected now, 0 = nothing yet
	parts   [][]byte
	got     int
	asked   []metaAsk // by piece
	sources []Key     // who sent the parts
	solo    Peer      // after a failure: one peer alone
	offers  map[Peer]int
	refused map[Peer]time.Duration
}

type metaAsk struct {
	by Peer
	at time.Duration
}

func newMetadata() *metadata {
	return &metadata{solo: NoPeer, offers: make(map[Peer]int), refused: make(map[Peer]time.Duration)}
}

func (m *metadata) forget(id Peer) {
	delete(m.offers, id)
	delete(m.refused, id)
	if m.solo == id {
		m.solo, m.size = NoPeer, 0
	}
	for i := range m.asked {
		if m.asked[i].by == id {
			m.asked[i].by = NoPeer
		}
	}
}

func (m *metadata) begin(size int) {
	n := (size + MetaPieceLen - 1) / MetaPieceLen
	m.size, m.got = size, 0
	m.parts, m.asked, m.sources = make([][]byte, n), make([]metaAsk, n), make([]Key, n)
	for i := range m.asked {
		m.asked[i].by = NoPeer
	}
}

// gotMeta takes the messages of BEP 9.
func (t *T) gotMeta(p *peer, e *Event) {
	m := t.meta
	switch e.Kind {
	case GotMetaRequest:
		t.serveMeta(p, e.P)
	case GotMetaSize:
		if t.info != nil || e.N == 0 {
			return
		}
		if e.N > MaxMetadata {
			t.out.add(Effect{Kind: Penalise, Peer: p.id, Reason: ReasonBadMetadata})
			return
		}
		m.offers[p.id] = int(e.N)
		if m.size == 0 {
			m.begin(int(e.N))
		}
		t.askMeta()
	case GotMetaReject:
		m.refused[p.id] = t.now
		if int(e.P) < len(m.asked) && m.asked[e.P].by == p.id {
			m.asked[e.P].by = NoPeer
		}
		t.askMeta()
	case GotMetaData:
		t.gotMetaData(p, e)
	}
}

func (t *T) gotMetaData(p *peer, e *Event) {
	m := t.meta
	if t.info != nil || m.size == 0 || int(e.P) >= len(m.asked) || m.asked[e.P].by != p.id {
		return
	}
	want := min(MetaPieceLen, m.size-int(e.P)*MetaPieceLen)
	if len(e.Data) != want || int(e.N) != m.size {
		t.close(p, ReasonBadMetadata, true)
		return
	}
	if m.parts[e.P] == nil {
		m.parts[e.P] = append([]byte(nil), e.Data...)
		m.sources[e.P] = p.key
		m.got++
	}
	m.asked[e.P].by = NoPeer
	if m.got < len(m.parts) {
		t.askMeta()
		return
	}
	all := make([]byte, 0, m.size)
	for _, part := range m.parts {
		all = append(all, part...)
	}
	t.out.add(Effect{Kind: MetaComplete, Peer: NoPeer, Data: all})
}

// MetaBad tells that the info dictionary of the last MetaComplete has another hash. If
// it came from one peer, that one is banned; else the next try takes it from one alone.
func (t *T) metaBad() {
	m := t.meta
	alone := true
	for _, k := range m.sources {
		alone = alone && k == m.sources[0]
	}
	if alone && len(m.sources) > 0 {
		bad := m.sources[0]
		t.blame.ban(bad)
		for _, id := range t.live {
			if q := t.peers[id]; q.key == bad {
				t.close(q, ReasonBadMetadata, true)
				m.forget(id)
			}
		}
	}
	m.size, m.solo = 0, NoPeer
	for _, id := range t.live {
		if n, ok := m.offers[id]; ok && !t.peers[id].closing {
			m.solo = id
			m.begin(n)
			break
		}
	}
	t.askMeta()
}

// askMeta asks for parts that nobody is asked for.
func (t *T) askMeta() {
	m := t.meta
	if t.info != nil || m.size == 0 {
		return
	}
	for _, id := range t.live {
		q := t.peers[id]
		if q.closing || m.offers[id] != m.size || m.solo != NoPeer && m.solo != id {
			continue
		}
		if at, ok := m.refused[id]; ok && t.now-at < metaTimeout {
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

// tick asks others for what did not come in time.
func (m *metadata) tick(t *T) {
	for i := range m.asked {
		if a := &m.asked[i]; a.by != NoPeer && t.now-a.at > metaTimeout {
			m.refused[a.by] = t.now
			if m.solo == a.by {
				m.solo = NoPeer
			}
			a.by = NoPeer
		}
	}
	if m.size == 0 || m.stuck(t) {
		m.size = 0
		for _, id := range t.live {
			if n := m.offers[id]; n > 0 && m.refused[id] == 0 && !t.peers[id].closing {
				m.begin(n)
				break
			}
		}
	}
	t.askMeta()
}

// stuck tells that nobody who offers this size is left to ask.
func (m *metadata) stuck(t *T) bool {
	for _, id := range t.live {
		if m.offers[id] == m.size && !t.peers[id].closing {
			return false
		}
	}
	return true
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

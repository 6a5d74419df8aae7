package kad

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"shoal/internal/core/kad/krpc"
)

// Limits of what strangers may take (limits card; libtorrent's figures where it has one).
const (
	header     = 28              // bytes of IPv4 and UDP about a datagram; IPv6 has more, so this is the stricter figure
	gain       = 3               // answer to question, to an address that nothing has proven
	askRate    = 5               // queries a second of one address
	askBurst   = 50              // queries at once
	blockTime  = 5 * time.Minute // for asking more
	itemRate   = 1 << 10         // bytes a second of item answers to one network of unproven addresses
	itemBurst  = 8 << 10         // bytes
	itemsRate  = 16 << 10        // and to all of them
	itemsBurst = 64 << 10        // bytes
	meterMost  = 128             // sources that a meter keeps apart
	provenMost = 64              // addresses besides the tables' that are remembered as proven
)

// meter is a leaking bucket for each of the sources that took most lately.
type meter struct {
	rate, burst float64 // a second
	list        []tap
}

type tap struct {
	key   netip.Addr
	level float64
	at    time.Duration
	until time.Duration // blocked
}

// tapOf is the source's bucket with its level as of now, nil if it has none.
func (m *meter) tapOf(key netip.Addr, now time.Duration) *tap {
	for i := range m.list {
		if x := &m.list[i]; x.key == key {
			x.leak(m.rate, now)
			return x
		}
	}
	return nil
}

func (x *tap) leak(rate float64, now time.Duration) {
	x.level = max(0, x.level-float64(rate*(now-x.at).Seconds()))
	x.at = now
}

// take tells whether the source may have n, and if so counts it.
func (m *meter) take(key netip.Addr, n float64, now time.Duration) bool {
	x := m.tapOf(key, now)
	if x == nil {
		x = m.admit(key, now)
	}
	if x.level+n > m.burst {
		return false
	}
	x.level += n
	return true
}

// admit finds a bucket for a source: an empty one, a new one, or that of the source that took least, whose level it keeps:
// so nobody escapes by making many names.
func (m *meter) admit(key netip.Addr, now time.Duration) *tap {
	least := -1
	for i := range m.list {
		x := &m.list[i]
		x.leak(m.rate, now)
		if x.until <= now && (least < 0 || x.level < m.list[least].level) {
			least = i
		}
	}
	switch {
	case least >= 0 && (m.list[least].level == 0 || len(m.list) >= meterMost):
		m.list[least].key = key
		return &m.list[least]
	case len(m.list) < meterMost:
		m.list = append(m.list, tap{key: key, at: now})
		return &m.list[len(m.list)-1]
	}
	m.list[0] = tap{key: key, at: now} // all are blocked
	return &m.list[0]
}

// guard bounds what is given to whom.
type guard struct {
	asking  meter // queries by address
	items   meter // bytes of items by network
	allItem meter // of items in all: one source
	answers meter // of answers to unproven addresses in all: one source
	proven  []proof
}

type proof struct {
	addr netip.Addr
	at   time.Duration
}

func (g *guard) init(answerRate int) {
	g.asking = meter{rate: askRate, burst: askBurst}
	g.items = meter{rate: itemRate, burst: itemBurst}
	g.allItem = meter{rate: itemsRate, burst: itemsBurst}
	g.answers = meter{rate: float64(answerRate), burst: 4 * float64(answerRate)}
}

// source is what counts as one source: an address, or a /64 of IPv6.
func source(a netip.Addr) netip.Addr { return masked(a, 32, 64) }

// sameHost tells whether two addresses are one source.
func sameHost(a, b netip.Addr) bool {
	if a.Is4() || b.Is4() {
		return a == b
	}
	x, y := a.As16(), b.As16()
	return [8]byte(x[:]) == [8]byte(y[:])
}

// masked is the first address of the network of so many bits.
func masked(a netip.Addr, four, six int) netip.Addr {
	bits := six
	if a.Is4() {
		bits = four
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return a
	}
	return p.Addr()
}

// blocked tells whether an address has asked too often.
func (g *guard) blocked(a netip.Addr, now time.Duration) bool {
	key := source(a)
	for i := range g.asking.list {
		if x := &g.asking.list[i]; x.key == key {
			return x.until > now
		}
	}
	return false
}

// ask counts a query, and blocks who asks too often.
func (g *guard) ask(a netip.Addr, now time.Duration) bool {
	if g.asking.take(source(a), 1, now) {
		return true
	}
	if x := g.asking.tapOf(source(a), now); x != nil {
		x.until = now + blockTime
	}
	return false
}

// item tells whether bytes of an item may go to an unproven address beyond what its question allows.
func (g *guard) item(a netip.Addr, n int, now time.Duration) bool {
	return g.items.take(masked(a, 24, 48), float64(n), now) && g.allItem.take(netip.Addr{}, float64(n), now)
}

// prove remembers that nobody else sends from the address.
func (g *guard) prove(a netip.Addr, now time.Duration) {
	oldest := -1
	for i := range g.proven {
		if g.proven[i].addr == a {
			g.proven[i].at = now
			return
		}
		if oldest < 0 || g.proven[i].at < g.proven[oldest].at {
			oldest = i
		}
	}
	if len(g.proven) < provenMost && (oldest < 0 || g.proven[oldest].at+provenLife > now) {
		g.proven = append(g.proven, proof{a, now})
		return
	}
	g.proven[oldest] = proof{a, now}
}

// proven tells whether the address is known to be its sender's own.
func (t *T) proven(from netip.AddrPort, id krpc.ID) bool {
	if t.cfg.Authenticated {
		return true
	}
	if n := t.net(from.Addr()).find(id); n != nil && n.Addr == from && time.Duration(n.answered)*time.Second+provenLife > t.now {
		return true
	}
	for _, p := range t.guard.proven {
		if p.addr == from.Addr() {
			return p.at+provenLife > t.now
		}
	}
	return false
}

// secrets are what tokens are made with. They change every five minutes, and the one before still counts (BEP 5).
type secrets struct {
	epoch  int64
	secret [2][16]byte // of this epoch and the one before
}

func (s *secrets) turn(now time.Duration, rng *rand.Rand) {
	epoch := int64(now / secretLife)
	for steps := min(epoch-s.epoch, 2); steps > 0; steps-- {
		s.secret[1] = s.secret[0]
		binary.BigEndian.PutUint64(s.secret[0][:], rng.Uint64())
		binary.BigEndian.PutUint64(s.secret[0][8:], rng.Uint64())
	}
	s.epoch = epoch
}

const tokenLen = 8

// token is what an address must show to store something under the target.
func (t *T) token(a netip.Addr, target krpc.ID, age int) [tokenLen]byte {
	t.secrets.turn(t.now, t.rng)
	var room [16 + 16 + 20]byte
	ip := a.As16()
	b := append(append(append(room[:0], t.secrets.secret[age][:]...), ip[:]...), target[:]...)
	sum := sha256.Sum256(b)
	return [tokenLen]byte(sum[:tokenLen])
}

// holds tells whether a token is one that we gave to the address for the target.
func (t *T) holdsToken(token []byte, a netip.Addr, target krpc.ID) bool {
	for age := range t.secrets.secret {
		if want := t.token(a, target, age); subtle.ConstantTimeCompare(token, want[:]) == 1 {
			return true
		}
	}
	return false
}

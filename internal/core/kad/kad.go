package kad

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"shoal/internal/core/kad/krpc"
)

// LeastPort is the least port that is asked or dialled because somebody says that another is
// there: below it are a system's services, and a flood of one could be meant (security.md T09).
const LeastPort = 1024

// Choices of this program, each with its reason or source.
const (
	questionable = 15 * time.Minute      // BEP 5: a node not heard of for so long may be gone
	selfInterval = 10 * time.Minute      // how often the nodes around our own id are looked for
	peerLife     = 30 * time.Minute      // a stored peer: twice the interval of announcing
	itemLife     = 2 * time.Hour         // a stored item (BEP 44 "Expiration")
	peerAgain    = 15 * time.Minute      // a Hold announces every 15 to 20 minutes
	itemAgain    = 50 * time.Minute      // and puts its item again every 50 to 60 (BEP 44: once an hour)
	secretLife   = 5 * time.Minute       // BEP 5: tokens count for 5 to 10 minutes
	provenLife   = 15 * time.Minute      // an address stays proven
	aloneTime    = 15 * time.Second      // how long a search waits for a first node
	retryFirst   = 5 * time.Second       // and how soon the first contacts are asked again, doubled up to
	retryMost    = 5 * time.Minute       // this
	checkGap     = 50 * time.Millisecond // between two contacts that are looked at
	feelGap      = 30 * time.Second      // between two nodes that are asked while nobody answers
	maxActive    = 32                    // searches at a time
	maxWaiting   = 4096                  // searches that wait
	maxHolds     = 100_000               // registrations
	maxCalls     = 512                   // queries out
	maxChecks    = 256                   // contacts that wait to be looked at
	maxRouters   = 64                    // nodes that everybody begins with
	maxContacts  = 1024                  // contacts to begin with that are kept
	manyPaths    = 8                     // of a search that is suspicious (overlay research: 0.997 at 20 % liars)
	tries        = 3                     // per candidate of a search: with 10 % of the round trips lost 0.1 % are missed
	mtu          = 1024                  // BEP 32: bytes of a datagram
	mtuItem      = 1400                  // of one with an item, which may be 1000 bytes alone
)

// Config is what a T is made with. The zero value is Mainline over IPv4.
type Config struct {
	ID      krpc.ID // zero: drawn
	K       int     // nodes in a bucket and in an answer: 0 = 8 (Mainline), 20 in a group
	Alpha   int     // queries that a search has out at a time: 0 = 3
	Version [4]byte // sent as v (BEP 5)
	IPv4    bool    // neither: IPv4
	IPv6    bool    // its own table (BEP 32)

	Secure        bool // prefer nodes whose id fits their address and take such an id ourselves (BEP 42)
	Diversity     bool // bound what nodes of one network may be; off for loopback and groups
	OneHost       bool // loopback: an address is no one's own, so queries are not limited by it
	ReadOnly      bool // answer nothing and say so (BEP 43)
	Authenticated bool // the carrier proves who sends: no address can be forged

	AnswerRate int // bytes a second for answers to addresses that nothing has proven, 0 = 64 KiB

	Allow func(a netip.AddrPort) bool             // addresses that may be talked to, taken and told; nil: Public
	Bound func(id krpc.ID, a netip.AddrPort) bool // whether the id may be at the address; nil: any may
}

// T is one node of a DHT. It is used by one goroutine.
type T struct {
	cfg  Config
	rng  *rand.Rand
	zero time.Time // an hour before the first Step; times inside are durations since
	now  time.Duration
	out  *Effects

	id     krpc.ID
	nets   []*table // of each family in use
	in     krpc.Message
	msg    krpc.Message
	arena  []byte // of the datagrams of this Step
	tid    [4]byte
	picked []*node
	told   [2][]krpc.Node

	calls      calls
	lastAnswer time.Duration // to any query of ours
	active     []*lookup
	queue      []*lookup
	dirty      bool // a search is to be looked at
	full       bool // a search wants to ask and there is no room for a query
	holds      []hold
	holdAt     time.Duration

	contacts []krpc.Node      // to begin with
	routers  []netip.AddrPort // of those, which everybody begins with
	retry    time.Duration
	retryAt  time.Duration
	checks   []krpc.Node // contacts to be looked at, in order
	checkAt  time.Duration
	choreAt  time.Duration
	sweepAt  time.Duration

	secrets  secrets
	guard    guard
	store    store
	votes    votes
	estimate estimate
	Counted  Counters
}

// Counters are totals since New.
type Counters struct {
	BytesIn, BytesOut           int64 // datagrams without headers
	Queries, Answers, Errors    int64 // received
	Asked, Lost                 int64 // our queries, and those without an answer in time
	Refused, Limited, Malformed int64 // datagrams: by a rule of the protocol, by a rate, not understood
	Searches, Suspicious        int64 // ended; repeated by many paths
}

// Public tells whether an address can be anybody's on the Internet.
func Public(a netip.AddrPort) bool {
	ip := a.Addr().Unmap()
	switch {
	case a.Port() == 0, !ip.IsGlobalUnicast(), ip.IsPrivate():
		return false
	case ip.Is4():
		b := ip.As4()
		return b[0] != 0 && b[0] < 240 && !(b[0] == 100 && b[1]&0xc0 == 64)
	}
	return true
}

// New makes a node that knows nobody. rng decides every random choice; outside of tests its source must be
// cryptographic, because tokens are made with it.
func New(cfg Config, rng *rand.Rand) *T {
	if cfg.K <= 0 {
		cfg.K = 8
	}
	cfg.K = min(cfg.K, krpc.MaxNodes)
	if cfg.Alpha <= 0 {
		cfg.Alpha = 3
	}
	if cfg.AnswerRate <= 0 {
		cfg.AnswerRate = 64 << 10
	}
	if !cfg.IPv6 {
		cfg.IPv4 = true
	}
	if cfg.Allow == nil {
		cfg.Allow = Public
	}
	t := &T{cfg: cfg, rng: rng, id: cfg.ID, retry: retryFirst}
	if t.id.IsZero() {
		t.id = t.random()
	}
	if cfg.IPv4 {
		t.nets = append(t.nets, &table{t: t})
	}
	if cfg.IPv6 {
		t.nets = append(t.nets, &table{t: t, six: true})
	}
	t.guard.init(cfg.AnswerRate)
	return t
}

// ID is the node's own id.
func (t *T) ID() krpc.ID { return t.id }

// Step takes the events in order and appends what is to be done to out.
func (t *T) Step(now time.Time, in *Events, out *Effects) {
	if t.zero.IsZero() {
		t.zero = now.Add(-time.Hour)
		t.choreAt = time.Hour
	}
	t.now = max(t.now, now.Sub(t.zero))
	t.out = out
	t.arena = t.arena[:0]
	for i := range in.List {
		t.event(&in.List[i])
	}
	t.tick()
	t.out = nil
}

// NextWake is when Step wants to be called even if nothing happens.
func (t *T) NextWake() time.Time {
	if t.zero.IsZero() {
		return time.Time{}
	}
	at := min(t.choreAt, t.calls.at())
	if len(t.checks) > 0 {
		at = min(at, t.checkAt)
	}
	if len(t.queue) > 0 && t.size()+len(t.contacts) == 0 {
		at = min(at, t.queue[0].until)
	}
	return t.zero.Add(at)
}

func (t *T) event(e *Event) {
	switch e.Kind {
	case Datagram:
		t.datagram(netip.AddrPortFrom(e.Addr.Addr().Unmap(), e.Addr.Port()), e.Data)
	case Bootstrap:
		t.bootstrap(e.Nodes)
	case Routers:
		for _, n := range e.Nodes {
			if !slices.Contains(t.routers, n.Addr) && len(t.routers) < maxRouters {
				t.routers = append(t.routers, n.Addr)
			}
		}
		t.bootstrap(e.Nodes)
	case Find:
		t.find(e)
	case Hold:
		t.hold(e)
	case Cancel:
		t.cancel(e.Handle)
	case Observed:
		t.settle(netip.AddrPortFrom(e.Addr.Addr().Unmap(), e.Addr.Port()))
	}
}

// tick does what is due.
func (t *T) tick() {
	if t.now >= t.calls.at() {
		t.expireCalls()
	}
	if t.now >= t.choreAt {
		t.chores()
	}
	t.runChecks()
	t.admit()
	for t.dirty {
		t.dirty = false
		for i := 0; i < len(t.active); i++ {
			if l := t.active[i]; l.dirty {
				l.dirty = false
				t.pump(l)
			}
		}
		t.active = slices.DeleteFunc(t.active, func(l *lookup) bool { return l.over })
		t.admit()
	}
}

// datagram judges whoever sent it, then takes it apart.
func (t *T) datagram(from netip.AddrPort, b []byte) {
	if t.net(from.Addr()) == nil || from.Port() == 0 || !t.cfg.Allow(from) {
		t.Counted.Refused++
		return
	}
	t.Counted.BytesIn += int64(len(b))
	if t.guard.blocked(from.Addr(), t.now) && !t.calls.awaits(from) {
		t.Counted.Limited++
		return
	}
	err := t.in.Parse(b)
	switch {
	case t.in.Kind == krpc.Query:
		t.Counted.Queries++
		t.question(from, len(b), err)
	case err != nil:
		t.Counted.Malformed++
	default:
		t.answered(from)
	}
}

// net is the table of the address's family, nil if it isn't in use.
func (t *T) net(a netip.Addr) *table {
	for _, n := range t.nets {
		if a.IsValid() && n.six == a.Is6() {
			return n
		}
	}
	return nil
}

// Len is how many nodes the tables hold.
func (t *T) Len() int { return t.size() }

// size is how many nodes the tables hold.
func (t *T) size() int {
	n := 0
	for _, net := range t.nets {
		n += net.size
	}
	return n
}

// takes tells whether a node may be talked to at all.
func (t *T) takes(n krpc.Node) bool {
	return n.ID != t.id && n.Addr.Port() != 0 && t.net(n.Addr.Addr()) != nil && t.cfg.Allow(n.Addr) &&
		(t.cfg.Bound == nil || n.ID.IsZero() || t.cfg.Bound(n.ID, n.Addr))
}

// believes is takes for a node that others name, or that asked us from an address that may be forged: at the port of a
// system's service it may be somebody's who is to be flooded (security.md T09).
func (t *T) believes(n krpc.Node) bool { return n.Addr.Port() >= LeastPort && t.takes(n) }

// send appends the message to the datagrams to be sent.
func (t *T) send(to netip.AddrPort, m *krpc.Message) {
	from := len(t.arena)
	t.arena = m.Append(t.arena)
	t.sendBytes(to, t.arena[from:len(t.arena):len(t.arena)])
}

func (t *T) sendBytes(to netip.AddrPort, b []byte) {
	t.Counted.BytesOut += int64(len(b))
	t.out.add(Effect{Kind: Send, Addr: to, Data: b})
}

// random is an ID drawn.
func (t *T) random() (id krpc.ID) {
	for i := range id {
		if i%8 == 0 {
			v := t.rng.Uint64()
			for j := i; j < min(i+8, len(id)); j++ {
				id[j] = byte(v)
				v >>= 8
			}
		}
	}
	return id
}

// jitter is a time below d, drawn.
func (t *T) jitter(d time.Duration) time.Duration { return time.Duration(t.rng.Int64N(int64(d))) }

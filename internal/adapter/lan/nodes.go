package lan

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// When nodes are asked for and spoken of (RFC 6762).
const (
	replyLeast = 20 * time.Millisecond  // §6: a shared record is told after 20 to 120 ms
	replySpan  = 100 * time.Millisecond //
	replyGap   = time.Second            // §6: not again on a link within a second
	firstQuery = time.Second            // §5.2: from the first query to the second; then twice as long each time
	lastQuery  = time.Hour              // §5.2: and no longer than this
	tellings   = 2                      // §8.3: unasked, a second apart

	maxInstances = 64                        // remembered for each link and family: they need not answer again
	maxInstance  = 63 + 1 + len(serviceName) // bytes of a name that is remembered
)

// inquiry is what is due on one link in one family.
type inquiry struct {
	query   time.Time // next
	gap     time.Duration
	tell    time.Time // zero: nobody asks
	meta    bool      // somebody asks for all services
	unasked int       // tellings that are left
	last    time.Time // telling
	known   []instance
}

// instance is another node's name, as it is told.
type instance struct {
	name  string
	until time.Time // half of its time to live: then it is to answer again (RFC 6762 §7.1)
}

// nodes is the half of the station that speaks multicast DNS.
type nodes struct {
	label string // of our instance
	tags  []Tag  // ours; none: nothing is said or asked
	port  uint16
	rng   *rand.Rand
	told  memory[nodeAt, time.Time]
}

// nodeAt is a node at an address.
type nodeAt struct {
	addr netip.AddrPort
	tags string // as they are told
}

func newNodes(port uint16, rng *rand.Rand) *nodes {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	label := make([]byte, 32)
	for i := range label {
		label[i] = letters[rng.IntN(len(letters))]
	}
	// 160 random bits: nobody else has them, so no probing (RFC 6762 §8.1).
	return &nodes{label: string(label), port: port, rng: rng, told: newMemory[nodeAt, time.Time](maxPeers)}
}

// newInquiry begins with a telling and a question.
func (n *nodes) newInquiry(now time.Time) *inquiry {
	at := now.Add(n.delay())
	return &inquiry{query: at, gap: firstQuery, tell: at, unasked: tellings - 1}
}

// retell has what is said told anew, for it has changed (RFC 6762 §8.4).
func (n *nodes) retell(now time.Time, q *inquiry) {
	q.unasked = tellings
	if q.tell.IsZero() {
		q.unasked--
		q.tell = later(now.Add(n.delay()), q.last.Add(replyGap))
	}
}

// delay is a random wait before a message that others may send too.
func (n *nodes) delay() time.Duration {
	return replyLeast + time.Duration(n.rng.Int64N(int64(replySpan)))
}

// on is the node as it stands on a link.
func (n *nodes) on(l link) service {
	s := service{instance: n.label, tags: n.tags, port: n.port}
	for _, f := range []family{v4, v6} {
		if a := l.source(f); a.IsValid() {
			s.addrs = append(s.addrs, a)
		}
	}
	for _, p := range slices.Concat(l.addrs[v4], l.addrs[v6]) {
		if !slices.Contains(s.addrs, p.Addr()) {
			s.addrs = append(s.addrs, p.Addr())
		}
	}
	return s
}

// hear takes a message from an address on a link.
func (n *nodes) hear(now time.Time, q *inquiry, from netip.Addr, m mdnsMessage) (found []Found) {
	s := service{instance: n.label}
	if !m.Response {
		n.asked(now, q, s, m)
		return nil
	}
	q.known = slices.DeleteFunc(q.known, func(k instance) bool { return slices.Contains(m.Gone, k.name) })
	for _, node := range m.Nodes {
		if strings.EqualFold(node.Instance, s.name()) || slices.Contains(m.Gone, node.Instance) {
			continue
		}
		// Of what it claims only the address is taken that it came from: nobody sends
		// us to somebody else.
		if !slices.Contains(node.Addrs, from.WithZone("")) {
			continue
		}
		q.learn(now, node.Instance)
		at := nodeAt{netip.AddrPortFrom(from, node.Port), string(appendTags(nil, node.Tags))}
		told, isNew := n.told.get(at)
		if isNew || now.Sub(*told) >= tellGap {
			*told = now
			found = append(found, Found{Addr: at.addr, Tags: node.Tags})
		}
	}
	return found
}

// asked takes a query.
func (n *nodes) asked(now time.Time, q *inquiry, s service, m mdnsMessage) {
	service := m.Service && !slices.Contains(m.Known, s.name())
	if !service && !m.Meta && !slices.Contains(m.Names, s.name()) && !slices.Contains(m.Names, s.host()) {
		return
	}
	q.meta = q.meta || m.Meta
	if !q.tell.IsZero() {
		return
	}
	q.tell = later(now.Add(n.delay()), q.last.Add(replyGap))
}

// learn remembers an instance that has answered.
func (q *inquiry) learn(now time.Time, name string) {
	until := now.Add(serviceTTL * time.Second / 2)
	i := slices.IndexFunc(q.known, func(k instance) bool { return k.name == name })
	switch {
	case i >= 0:
		q.known[i].until = until
	case len(q.known) < maxInstances && len(name) <= maxInstance:
		q.known = append(q.known, instance{name, until})
	}
}

// due is when there is something to send next.
func (q *inquiry) due() time.Time {
	if !q.tell.IsZero() && q.tell.Before(q.query) {
		return q.tell
	}
	return q.query
}

// messages takes what is due out of an inquiry.
func (n *nodes) messages(now time.Time, q *inquiry, l link) (out [][]byte) {
	s := n.on(l)
	if !q.tell.IsZero() && !q.tell.After(now) {
		if b, err := appendAnswer(nil, s, q.meta, false); err == nil {
			out = append(out, b)
		}
		q.last, q.tell, q.meta = now, time.Time{}, false
		if q.unasked > 0 {
			q.unasked--
			q.tell = now.Add(replyGap)
		}
	}
	if !q.query.After(now) {
		q.known = slices.DeleteFunc(q.known, func(k instance) bool { return !k.until.After(now) })
		known := []string{s.name()}
		for _, k := range q.known {
			known = append(known, k.name)
		}
		if b, err := appendQuery(nil, known); err == nil {
			out = append(out, b)
		}
		q.query = now.Add(q.gap)
		q.gap = min(2*q.gap, lastQuery)
	}
	return out
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

package lan

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// When shares are announced. BEP 14 wants an announce every five minutes, and no more
// than one message a minute; two nodes that come up shall find each other at once. So the
// round goes by the minute, and what is new, or what a newcomer asks for, may come between
// as long as the link's allowance lasts.
const (
	roundEvery  = time.Minute            // between two messages of the round (BEP 14)
	announceGap = 5 * time.Minute        // of one info hash in the round (BEP 14)
	messageGap  = time.Second            // between any two messages on a link
	quickRepeat = time.Second            // after the first announce of a share
	answerDelay = 500 * time.Millisecond // at most, random: not all answer at the same time
	burst       = 10                     // messages that a link may send at the shortest gap
	refill      = 10 * time.Second       // until it may send one more
	knownFor    = 15 * time.Minute       // without a word; then a peer is a newcomer again
	tellGap     = time.Minute            // between two reports of the same find

	maxShares  = 20_000 // announced
	maxAnswers = 256    // waiting on a link
	maxPeers   = 4096   // pairs of address and info hash that are remembered
)

// hash is an info hash as BEP 14 sends it: of v1, or of v2 cut to 20 bytes.
type hash = [20]byte

// pace is one link's allowance.
type pace struct {
	next  time.Time // the earliest next message
	spare float64   // messages, burst at most
	at    time.Time // when spare was counted
}

// ready is the earliest time for a message, not before now.
func (p *pace) ready(now time.Time) time.Time {
	p.count(now)
	at := now
	if p.spare < 1 {
		at = now.Add(time.Duration((1 - p.spare) * float64(refill)))
	}
	if at.Before(p.next) {
		return p.next
	}
	return at
}

// take notes a message.
func (p *pace) take(now time.Time) {
	p.count(now)
	p.spare--
	p.next = now.Add(messageGap)
}

func (p *pace) count(now time.Time) {
	if p.at.IsZero() {
		p.spare, p.at = burst, now
	}
	p.spare = min(burst, p.spare+float64(now.Sub(p.at))/float64(refill))
	p.at = now
}

// owed is a share whose announce is due.
type owed struct {
	hash  hash
	at    time.Time
	again bool // once more after quickRepeat
}

// turn is what is due on one link in one family.
type turn struct {
	fresh   []owed // new shares, in order
	answers []owed // for newcomers
	round   time.Time
	cursor  int                // in swarms.order
	last    map[hash]time.Time // announced
}

// newTurn begins with all shares as new ones.
func newTurn(now time.Time, shares []hash) *turn {
	t := &turn{round: now.Add(roundEvery), last: map[hash]time.Time{}}
	t.add(now, shares)
	return t
}

func (t *turn) add(now time.Time, shares []hash) {
	for _, h := range shares {
		t.fresh = append(t.fresh, owed{h, now, true})
	}
}

// due is when there is something to send next.
func (t *turn) due() time.Time {
	at := t.round
	if len(t.fresh) > 0 && t.fresh[0].at.Before(at) {
		at = t.fresh[0].at
	}
	for _, o := range t.answers {
		if o.at.Before(at) {
			at = o.at
		}
	}
	return at
}

// swarms is the half of the station that speaks BEP 14.
type swarms struct {
	port   uint16
	cookie string // ours: what has it is an echo
	rng    *rand.Rand
	order  []hash // what is announced
	shares map[hash]bool
	peers  memory[heard, heardOf]
}

// heard names a peer of a share.
type heard struct {
	addr netip.AddrPort
	hash hash
}

// heardOf is what is known of it.
type heardOf struct {
	cookie     string // another one: the peer has begun anew
	last, told time.Time
}

func newSwarms(port uint16, cookie string, rng *rand.Rand) *swarms {
	return &swarms{port: port, cookie: cookie, rng: rng, shares: map[hash]bool{}, peers: newMemory[heard, heardOf](maxPeers)}
}

// set takes the whole list of shares and returns those that are new in it.
func (s *swarms) set(list []hash) (fresh []hash) {
	shares := make(map[hash]bool, min(len(list), maxShares))
	var order []hash
	for _, h := range list {
		if shares[h] || h == (hash{}) || len(order) == maxShares {
			continue
		}
		shares[h] = true
		order = append(order, h)
		if !s.shares[h] {
			fresh = append(fresh, h)
		}
	}
	s.order, s.shares = order, shares
	return fresh
}

// forget drops from a turn what is no longer announced.
func (s *swarms) forget(t *turn) {
	gone := func(o owed) bool { return !s.shares[o.hash] }
	t.fresh, t.answers = slices.DeleteFunc(t.fresh, gone), slices.DeleteFunc(t.answers, gone)
	for h := range t.last {
		if !s.shares[h] {
			delete(t.last, h)
		}
	}
}

// hear takes an announce from an address on a link and gives what it tells us about
// shares of ours. A newcomer is answered in the same family.
func (s *swarms) hear(now time.Time, t *turn, from netip.Addr, m lsdMessage) (found []Found) {
	if m.Cookie == s.cookie {
		return nil
	}
	addr := netip.AddrPortFrom(from, m.Port)
	for _, h := range m.Hashes {
		if !s.shares[h] {
			continue
		}
		peer, isNew := s.peers.get(heard{addr, h})
		if isNew || peer.cookie != m.Cookie || now.Sub(peer.last) > knownFor {
			*peer = heardOf{cookie: m.Cookie}
			t.answer(owed{hash: h, at: now.Add(time.Duration(s.rng.Int64N(int64(answerDelay))))})
		}
		peer.last = now
		if peer.told.IsZero() || now.Sub(peer.told) >= tellGap {
			peer.told = now
			found = append(found, Found{Addr: addr, InfoHash: h})
		}
	}
	return found
}

// answer owes a newcomer an announce, with those that are owed already.
func (t *turn) answer(o owed) {
	for i := range t.answers {
		if t.answers[i].hash == o.hash {
			return
		}
	}
	if len(t.answers) < maxAnswers {
		t.answers = append(t.answers, o)
	}
}

// message takes what is due on a link in a family out of its turn: answers first, then
// new shares, then the round.
func (s *swarms) message(now time.Time, t *turn) []hash {
	var out []hash
	put := func(o owed) bool {
		if o.at.After(now) || len(out) == perLSD {
			return false
		}
		if !slices.Contains(out, o.hash) {
			out = append(out, o.hash)
		}
		return true
	}
	var waiting []owed
	for _, o := range t.answers {
		if !put(o) {
			waiting = append(waiting, o)
		}
	}
	t.answers = waiting
	n := 0
	for n < len(t.fresh) && put(t.fresh[n]) {
		n++
	}
	for _, o := range t.fresh[:n] {
		if o.again {
			t.fresh = append(t.fresh, owed{o.hash, now.Add(quickRepeat), false})
		}
	}
	t.fresh = t.fresh[n:]
	if len(out) == 0 && !now.Before(t.round) {
		t.round = now.Add(roundEvery)
		out = s.roundOf(now, t)
	}
	for _, h := range out {
		t.last[h] = now
	}
	// Old clients look at the first hash only: another one each time.
	if len(out) > 1 {
		k := s.rng.IntN(len(out))
		out = append(slices.Clone(out[k:]), out[:k]...)
	}
	return out
}

// roundOf picks the next shares of the round, where the last one ended.
func (s *swarms) roundOf(now time.Time, t *turn) (out []hash) {
	for range s.order {
		if len(out) == perLSD {
			break
		}
		t.cursor %= len(s.order)
		h := s.order[t.cursor]
		t.cursor++
		if last, ok := t.last[h]; !ok || now.Sub(last) >= announceGap {
			out = append(out, h)
		}
	}
	return out
}

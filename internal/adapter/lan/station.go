package lan

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// protocol is one of the two that are spoken here.
type protocol uint8

const (
	lsd protocol = iota
	mdns
	protocols
)

// channel is a protocol in a family: each has its group and its socket.
type channel struct {
	protocol protocol
	family   family
}

// packet is one that came by a link or is to go there.
type packet struct {
	channel channel
	link    int        // index of the interface; 0: not known
	addr    netip.Addr // who sent it; of one to be sent, our address on the link
	bytes   []byte
}

// station is all that is known and owed: it only computes. Time goes in with each call,
// packets come out of send.
type station struct {
	swarms *swarms
	nodes  *nodes
	posts  []*post
}

// post is one link with what is due there.
type post struct {
	link
	pace      pace // of announces, both families together
	turns     [families]*turn
	inquiries [families]*inquiry
	trouble   [families]trouble
}

// trouble is a family in which the system refuses to send: an address that is not yet in
// use, a rule of the firewall. Everything begins anew there when it is time to try again.
type trouble struct {
	times int
	again time.Time // zero: none
}

// retry is the wait before the first new try; it doubles up to 256 times this.
const retry = 2 * time.Second

// newStation makes one. Without tags it has nothing to say by multicast DNS.
func newStation(port uint16, rng *rand.Rand) *station {
	return &station{swarms: newSwarms(port, strconv.FormatUint(rng.Uint64(), 16), rng), nodes: newNodes(port, rng)}
}

// relink takes the links as they are now. On one that is new, or changed, everything
// begins anew, but the link's allowance stays. It returns those that were changed or
// are new, and those that are gone.
func (s *station) relink(now time.Time, links []link) (begun, gone []link) {
	old := map[int]*post{}
	for _, p := range s.posts {
		old[p.index] = p
	}
	s.posts = nil
	for _, l := range links {
		was := old[l.index]
		delete(old, l.index)
		if was != nil && was.same(l) {
			s.posts = append(s.posts, was)
			s.retry(now, was)
			continue
		}
		p := &post{link: l}
		if was != nil {
			p.pace = was.pace
		}
		for f := range families {
			s.begin(now, p, f)
		}
		s.posts = append(s.posts, p)
		begun = append(begun, l)
	}
	for _, p := range old {
		gone = append(gone, p.link)
	}
	return begun, gone
}

// begin begins anew on a link in a family.
func (s *station) begin(now time.Time, p *post, f family) {
	if !p.source(f).IsValid() {
		return
	}
	p.turns[f] = newTurn(now, s.swarms.order)
	if len(s.nodes.tags) > 0 {
		p.inquiries[f] = s.nodes.newInquiry(now)
	}
}

// retag takes the tags that this node bears from now on, and returns the goodbyes where it
// bears none any more. New ones are told at once.
func (s *station) retag(now time.Time, tags []Tag) (goodbyes []packet) {
	tags = slices.Clone(tags)
	slices.SortFunc(tags, func(a, b Tag) int { return bytes.Compare(a[:], b[:]) }) // their order says nothing
	tags = slices.Compact(tags)
	tags = tags[:min(len(tags), maxTags)]
	if slices.Equal(tags, s.nodes.tags) {
		return nil
	}
	if len(tags) == 0 {
		goodbyes = s.farewell()
	}
	s.nodes.tags = tags
	for _, p := range s.posts {
		for f := range families {
			switch q := p.inquiries[f]; {
			case len(tags) == 0:
				p.inquiries[f] = nil
			case q != nil:
				s.nodes.retell(now, q)
			case p.turns[f] != nil:
				p.inquiries[f] = s.nodes.newInquiry(now)
			}
		}
	}
	return goodbyes
}

// retry begins anew where sending failed and may work now.
func (s *station) retry(now time.Time, p *post) {
	for f := range families {
		if t := &p.trouble[f]; !t.again.IsZero() && !now.Before(t.again) {
			t.again = time.Time{}
			s.begin(now, p, f)
		}
	}
}

// refused takes back a packet that the system did not send.
func (s *station) refused(now time.Time, out packet) {
	for _, p := range s.posts {
		if p.index != out.link {
			continue
		}
		if out.channel.protocol == lsd {
			p.pace.spare, p.pace.next = min(burst, p.pace.spare+1), now
		}
		if t := &p.trouble[out.channel.family]; t.again.IsZero() {
			t.again = now.Add(retry << min(t.times, 8))
			t.times++
		}
	}
}

// announce takes the whole list of shares that are announced from now on.
func (s *station) announce(now time.Time, shares []hash) {
	fresh := s.swarms.set(shares)
	for _, p := range s.posts {
		for _, t := range p.turns {
			if t != nil {
				s.swarms.forget(t)
				t.add(now, fresh)
			}
		}
	}
}

// receive takes a packet. One of a sender who is not in a subnet of the link is passed
// over, as is one that is malformed.
func (s *station) receive(now time.Time, in packet) (found []Found, ok bool) {
	p := s.post(in.link, in.addr)
	f := in.channel.family
	if p == nil || familyOf(in.addr) != f {
		return nil, false
	}
	from := p.zoned(in.addr)
	switch in.channel.protocol {
	case lsd:
		m, err := parseLSD(in.bytes)
		if err != nil || p.turns[f] == nil {
			return nil, false
		}
		return s.swarms.hear(now, p.turns[f], from, m), true
	case mdns:
		m, err := parseMDNS(in.bytes)
		if err != nil || p.inquiries[f] == nil {
			return nil, false
		}
		return s.nodes.hear(now, p.inquiries[f], from, m), true
	}
	return nil, false
}

// post finds the link that a packet came by: by its index, or, where the system doesn't
// tell that, by the subnet of the sender.
func (s *station) post(index int, from netip.Addr) *post {
	for _, p := range s.posts {
		if (index == 0 || p.index == index) && p.near(from) {
			return p
		}
	}
	return nil
}

// send takes out all that is due.
func (s *station) send(now time.Time) (out []packet) {
	for _, p := range s.posts {
		for f := range families {
			src := p.source(f)
			if q := p.inquiries[f]; q != nil {
				for _, b := range s.nodes.messages(now, q, p.link) {
					out = append(out, packet{channel{mdns, f}, p.index, src, b})
				}
			}
		}
		if f, ok := p.nextTurn(now); ok && !p.turns[f].due().After(now) && !p.pace.ready(now).After(now) {
			if hashes := s.swarms.message(now, p.turns[f]); len(hashes) > 0 {
				p.pace.take(now)
				m := lsdMessage{Family: f, Port: s.swarms.port, Cookie: s.swarms.cookie, Hashes: hashes}
				out = append(out, packet{channel{lsd, f}, p.index, p.source(f), appendLSD(nil, m)})
			}
		}
	}
	return out
}

// farewell takes back what was told by multicast DNS (RFC 6762 §10.1).
func (s *station) farewell() (out []packet) {
	for _, p := range s.posts {
		for f, q := range p.inquiries {
			if q == nil || q.last.IsZero() {
				continue
			}
			if b, err := appendAnswer(nil, s.nodes.on(p.link), false, true); err == nil {
				out = append(out, packet{channel{mdns, family(f)}, p.index, p.source(family(f)), b})
			}
		}
	}
	return out
}

// nextTurn is the family whose announce comes next: one that a newcomer waits for, else
// the one that is due first.
func (p *post) nextTurn(now time.Time) (best family, ok bool) {
	waited := false
	for f, t := range p.turns {
		if t == nil {
			continue
		}
		asked := slices.ContainsFunc(t.answers, func(o owed) bool { return !o.at.After(now) })
		if !ok || asked && !waited || asked == waited && t.due().Before(p.turns[best].due()) {
			best, ok, waited = family(f), true, asked
		}
	}
	return best, ok
}

// nextWake is when send has something next; zero: never.
func (s *station) nextWake(now time.Time) time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	for _, p := range s.posts {
		if f, ok := p.nextTurn(now); ok {
			sooner(later(p.turns[f].due(), p.pace.ready(now)))
		}
		for _, q := range p.inquiries {
			if q != nil {
				sooner(q.due())
			}
		}
	}
	return at
}

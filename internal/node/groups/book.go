package groups

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"shoal/internal/core/bencode"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Bounds of the contacts of one group.
const (
	maxBook     = 256                // members whose addresses are kept
	contactAge  = 7 * 24 * time.Hour // of others' contacts that are passed on
	contactLast = time.Hour          // after which the own one is made anew
	clockSlack  = time.Hour          // by which another's clock may be ahead
)

// book is where the members of one group were reached last. It is a hint: what is lost is
// learnt again, and a wrong address leads to a node whose key is not the member's.
type book struct {
	of      map[ident.NodeID]*entry
	own     group.Contact
	ownRaw  []byte
	changed bool
}

// entry is one member's.
type entry struct {
	contact group.Contact // what it says itself; zero Time: nothing yet
	raw     []byte
	met     []group.Address // where a ticket or a connection led to it
	at      int64           // unix seconds: when it was connected last, or heard of first
}

// note is what has come to be known of a member: any part may be missing.
type note struct {
	node    ident.NodeID
	contact group.Contact
	raw     []byte
	met     []group.Address
	online  bool
}

// open is the book of a group, new if there is none. Owner only.
func (s *Service) open(id group.ID) *book {
	if s.books[id] == nil {
		s.books[id] = &book{of: make(map[ident.NodeID]*entry)}
	}
	return s.books[id]
}

// learn takes notes of members of a group. Owner only.
func (s *Service) learn(id group.ID, notes []note) {
	g, now := s.look().groups[id], time.Now()
	if g == nil {
		return
	}
	b := s.open(id)
	for _, n := range notes {
		if _, in := g.Member(n.node); !in || n.node == s.me {
			continue
		}
		known := len(b.addrs(n.node)) > 0
		if b.learn(n, now) {
			if s.saveSoon(saveLater); !known {
				s.saveSoon(saveFirst)
			}
			if d := s.dials[n.node]; d != nil && !d.busy { // a new address is worth a new try
				d.due, s.dialAt = now, now
			}
		}
	}
}

// learn tells whether the addresses are others now.
func (b *book) learn(n note, now time.Time) (fresh bool) {
	e := b.of[n.node]
	if e == nil {
		if len(b.of) >= maxBook {
			b.dropOldest()
		}
		e = &entry{at: now.Unix()}
		b.of[n.node] = e
		b.changed = true
	}
	if n.online {
		e.at = now.Unix()
		b.changed = true
	}
	if met := fitting(n.met); len(met) > 0 && !slices.Equal(met, e.met) {
		e.met, fresh = met, true
	}
	if n.contact.Time > e.contact.Time && n.contact.Time <= now.Add(clockSlack).Unix() {
		fresh = fresh || !slices.Equal(n.contact.Addrs, e.contact.Addrs)
		e.contact, e.raw = n.contact, n.raw
		b.changed = true
	}
	b.changed = b.changed || fresh
	return fresh
}

func (b *book) dropOldest() {
	oldest := slices.MinFunc(slices.Collect(maps.Keys(b.of)), func(x, y ident.NodeID) int {
		return cmp.Or(cmp.Compare(b.of[x].at, b.of[y].at), slices.Compare(x[:], y[:]))
	})
	delete(b.of, oldest)
}

// addrs are all addresses of a member, those that worked first.
func (b *book) addrs(node ident.NodeID) []group.Address {
	if b == nil || b.of[node] == nil {
		return nil
	}
	all := slices.Clone(b.of[node].met)
	for _, a := range b.of[node].contact.Addrs {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// worth tells whether an address of a member is to be dialled. A contact is a member's word
// and may name anybody: it leads to no port of a system's services (security.md T09) unless a
// ticket or a connection led there before.
func (b *book) worth(node ident.NodeID, a group.Address, least uint16) bool {
	return a.At.Port() >= least || slices.Contains(b.of[node].met, a)
}

// contacts are what is told to another member: the own contact and the latest of others.
func (s *Service) contacts(id group.ID, to ident.NodeID) (raws [][]byte) {
	addrs := fitting(s.cfg.Net.Addrs())
	s.do(func() {
		b, now := s.open(id), time.Now()
		raws = append(raws, s.ownContact(id, addrs))
		for _, node := range b.latest() {
			e := b.of[node]
			if e.raw != nil && node != to && e.at > now.Add(-contactAge).Unix() && len(raws) < maxContacts && s.Member(id, node) {
				raws = append(raws, e.raw)
			}
		}
	})
	return raws
}

// ownContact is what this node says of itself to a group. Owner only.
func (s *Service) ownContact(id group.ID, addrs []group.Address) []byte {
	b, now := s.open(id), time.Now()
	old, at := b.own.Time, now.Unix()
	if b.ownRaw == nil || !slices.Equal(b.own.Addrs, addrs) || old < now.Add(-contactLast).Unix() || old > now.Add(clockSlack).Unix() {
		if old >= at && old <= now.Add(clockSlack).Unix() { // the later takes the place of the earlier
			at = old + 1
		}
		b.own = group.Contact{Group: id, Node: s.me, Addrs: addrs, Time: at}
		b.ownRaw = b.own.Seal(s.cfg.Key)
	}
	return b.ownRaw
}

// Contact is the signed word of this node to a group where it is reached, for members to
// pass on in other ways; nil if it is no member.
func (s *Service) Contact(id group.ID) (raw []byte) {
	addrs := fitting(s.cfg.Net.Addrs())
	s.do(func() {
		if s.Member(id, s.me) {
			raw = slices.Clone(s.ownContact(id, addrs))
		}
	})
	return raw
}

// Hear takes the contact of a member that came in another way. A wrong one is an error.
func (s *Service) Hear(id group.ID, raw []byte) error { return s.hear(id, [][]byte{raw}) }

// latest are all members in the book, who was connected last first.
func (b *book) latest() []ident.NodeID {
	return slices.SortedFunc(maps.Keys(b.of), func(x, y ident.NodeID) int {
		return cmp.Or(cmp.Compare(b.of[y].at, b.of[x].at), slices.Compare(x[:], y[:]))
	})
}

// hear judges contacts that a member passed on. A wrong one is errWrong.
func (s *Service) hear(id group.ID, raws [][]byte) error {
	var notes []note
	for _, raw := range raws {
		c, err := group.ParseContact(raw)
		if err != nil || c.Group != id {
			return errWrong
		}
		notes = append(notes, note{node: c.Node, contact: c, raw: slices.Clone(raw)})
	}
	if len(notes) == 0 {
		return nil
	}
	return s.do(func() { s.learn(id, notes) })
}

func (b *book) dirty() bool { return b != nil && b.changed }

// file is a list of dictionaries of a (addresses as in a ticket), c (contact), n (node) and
// t (when it was connected last).
func (b *book) file() []byte {
	out := []byte{'l'}
	for _, node := range b.latest() {
		e := b.of[node]
		out = append(out, "d1:a"...)
		out = bencode.AppendString(out, group.AppendAddrs(nil, e.met))
		out = append(out, "1:c"...)
		out = bencode.AppendString(out, e.raw)
		out = append(out, "1:n"...)
		out = bencode.AppendString(out, node[:])
		out = append(out, "1:t"...)
		out = bencode.AppendInt(out, e.at)
		out = append(out, 'e')
	}
	return append(out, 'e')
}

// readBook reads what file wrote. These are hints: from a damaged file come none.
func (s *Service) readBook(g *group.Group) *book {
	raw, err := readFile(s.path(g.ID()) + bookEnd)
	if err != nil {
		return nil
	}
	v, err := bencode.Parse(raw, bencode.Limits{Depth: 3, Tokens: 16 * (maxBook + 1)})
	if err != nil {
		return nil
	}
	b := &book{of: make(map[ident.NodeID]*entry)}
	for x := range v.Items() {
		at, _ := x.Get("a").Bytes()
		c, _ := x.Get("c").Bytes()
		n, _ := x.Get("n").Bytes()
		e := &entry{}
		e.at, _ = x.Get("t").Int()
		node, ok := ident.NodeIDOf(n)
		if _, in := g.Member(node); !ok || !in || len(b.of) >= maxBook {
			continue
		}
		e.met, _ = group.ParseAddrs(at)
		if got, err := group.ParseContact(c); err == nil && got.Node == node && got.Group == g.ID() {
			e.contact, e.raw = got, slices.Clone(c)
		}
		b.of[node] = e
	}
	return b
}

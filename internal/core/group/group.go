package group

import (
	"crypto/hmac"
	"errors"
	"slices"

	"shoal/internal/core/bencode"
	"shoal/internal/core/ident"
)

// Bounds of the tickets that a node has given out in one group.
const (
	MaxTickets = 64  // not expired
	MaxUses    = 100 // of one ticket
	maxFile    = 4 << 20
)

// ErrTickets says that MaxTickets are out and none has expired.
var ErrTickets = errors.New("group: too many tickets are out")

// Issued is a ticket that this node gave out.
type Issued struct {
	Secret  [SecretSize]byte
	Expires int64          // unix seconds by this node's clock
	Uses    int            // how often it can be redeemed in all
	Rights  Rights         // of who redeems it
	By      []ident.NodeID // who did
}

// Group is one group as one node keeps it: the member list and its own tickets. What
// changes it is to be kept (File) before anybody is told. As a Log, it may be read by all
// while nobody changes it.
type Group struct {
	*Log
	tickets []Issued
}

// Clone is a copy: what is changed in one is not changed in the other.
func (g *Group) Clone() *Group {
	c := &Group{Log: g.Log.Clone(), tickets: slices.Clone(g.tickets)}
	for i := range c.tickets {
		c.tickets[i].By = slices.Clone(c.tickets[i].By)
	}
	return c
}

// New is the group of a list, with no tickets.
func New(l *Log) *Group { return &Group{Log: l} }

// Invite notes a ticket with a secret of 16 random bytes. Who may not admit may not invite.
func (g *Group) Invite(by ident.NodeID, t Issued, now int64) error {
	if p, ok := g.Member(by); !ok || p.Rights != Admin {
		return ErrRights
	}
	if t.Uses < 1 || t.Uses > MaxUses || t.Rights != Member && t.Rights != Admin {
		return ErrTicket
	}
	g.tickets = slices.DeleteFunc(g.tickets, func(old Issued) bool { return old.Expires <= now })
	if len(g.tickets) >= MaxTickets {
		return ErrTickets
	}
	t.By = nil
	g.tickets = append(g.tickets, t)
	return nil
}

// Redeem admits who proves to hold a ticket of ours: it counts the use and adds the entry
// that admits it. Who redeems the same ticket again, because the answer was lost, is a
// member already: nothing changes. Everything else is ErrTicket.
func (g *Group) Redeem(key ident.Key, id TicketID, proof [32]byte, joiner ident.NodeID, name string, now int64) error {
	i := slices.IndexFunc(g.tickets, func(t Issued) bool { return IDOfSecret(t.Secret) == id })
	if i < 0 {
		return ErrTicket
	}
	t := &g.tickets[i]
	want := Proof(t.Secret, g.ID(), key.ID(), joiner)
	if !hmac.Equal(want[:], proof[:]) || t.Expires <= now {
		return ErrTicket
	}
	_, member := g.Member(joiner)
	switch {
	case slices.Contains(t.By, joiner):
		if member {
			return nil
		}
		return ErrTicket // removed since: a ticket leads in once
	case len(t.By) >= t.Uses || !NameFits(name):
		return ErrTicket
	case !member:
		raw, err := g.Admit(key, joiner, name, t.Rights, now)
		if err != nil {
			return ErrTicket
		}
		if _, err := g.Add(raw); err != nil {
			return ErrTicket
		}
	}
	t.By = append(t.By, joiner)
	return nil
}

// Tickets are those given out that have not expired and have uses left.
func (g *Group) Tickets(now int64) []Issued {
	var open []Issued
	for _, t := range g.tickets {
		if t.Expires > now && len(t.By) < t.Uses {
			t.By = slices.Clone(t.By)
			open = append(open, t)
		}
	}
	return open
}

// Revoke forgets all tickets.
func (g *Group) Revoke() { g.tickets = nil }

// File is the group as a node keeps it: a dictionary of e (entries, parents first) and t
// (tickets: b by, r rights, s secret, u uses, x expiry). It holds secrets.
func (g *Group) File() []byte {
	b := append([]byte("d1:e"), 'l')
	for _, raw := range g.Entries() {
		b = bencode.AppendString(b, raw)
	}
	b = append(b, "e1:tl"...)
	for _, t := range g.tickets {
		b = append(b, "d1:b"...)
		var by []byte
		for _, id := range t.By {
			by = append(by, id[:]...)
		}
		b = bencode.AppendString(b, by)
		b = append(b, "1:r"...)
		b = bencode.AppendInt(b, int64(t.Rights))
		b = append(b, "1:s"...)
		b = bencode.AppendString(b, t.Secret[:])
		b = append(b, "1:u"...)
		b = bencode.AppendInt(b, int64(t.Uses))
		b = append(b, "1:x"...)
		b = bencode.AppendInt(b, t.Expires)
		b = append(b, 'e')
	}
	return append(b, "ee"...)
}

// ErrFile says that bytes are not what File wrote.
var ErrFile = errors.New("group: not the file of a group")

// ParseFile reads what File wrote, and checks every signature again.
func ParseFile(b []byte) (*Group, error) {
	if len(b) > maxFile {
		return nil, ErrFile
	}
	v, err := bencode.Parse(b, bencode.Limits{Depth: 4, Tokens: 4 * (MaxEntries + 12*MaxTickets)})
	if err != nil {
		return nil, ErrFile
	}
	var g *Group
	for e := range v.Get("e").Items() {
		raw, _ := e.Bytes()
		if g == nil {
			l, err := NewLog(raw)
			if err != nil {
				return nil, ErrFile
			}
			g = New(l)
		} else if _, err := g.Add(raw); err != nil {
			return nil, ErrFile
		}
	}
	if g == nil {
		return nil, ErrFile
	}
	for e := range v.Get("t").Items() {
		t, ok := parseIssued(e)
		if !ok || len(g.tickets) >= MaxTickets {
			return nil, ErrFile
		}
		g.tickets = append(g.tickets, t)
	}
	return g, nil
}

func parseIssued(v bencode.Value) (t Issued, ok bool) {
	by, _ := v.Get("b").Bytes()
	rights, _ := v.Get("r").Int()
	secret, _ := v.Get("s").Bytes()
	uses, _ := v.Get("u").Int()
	expires, _ := v.Get("x").Int()
	if len(secret) != SecretSize || len(by)%len(ident.NodeID{}) != 0 || uses < 1 || uses > MaxUses || rights < 1 || rights > 2 {
		return t, false
	}
	t = Issued{Secret: [SecretSize]byte(secret), Expires: expires, Uses: int(uses), Rights: Rights(rights)}
	for id := range slices.Chunk(by, len(ident.NodeID{})) {
		t.By = append(t.By, ident.NodeID(id))
	}
	return t, len(t.By) <= t.Uses
}

package members

import (
	"context"
	"slices"
	"time"

	"shoal/internal/core/bencode"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// contactSalt names the item of a group's DHT that says where a member is reached.
const contactSalt = "shoal/addr"

// Measures of contacts in DHTs.
const (
	contactTime  = 5 * time.Second // for looking one up
	contactAgain = 30 * time.Minute
)

// A group of many members knows not where each of them is: a node keeps some hundred
// contacts. So in the DHT of such a group every member keeps its own, as an item that its key
// signs (BEP 44), whose value is the contact as members pass it on.

// contactItem is a contact as an item; false if it is none of this node's.
func contactItem(key ident.Key, raw []byte) (*krpc.Item, bool) {
	c, err := group.ParseContact(raw)
	if err != nil || c.Node != key.ID() {
		return nil, false
	}
	it := &krpc.Item{Mutable: true, Key: c.Node, Salt: []byte(contactSalt), Seq: c.Time, Value: bencode.AppendString(nil, raw)}
	it.Sig = key.SignItem(krpc.SignedBytes(it.Seq, it.Salt, it.Value))
	return it, true
}

// contactOf is what contactItem made; false if it is no string.
func contactOf(it *krpc.Item) ([]byte, bool) {
	v, err := bencode.Parse(it.Value, bencode.Limits{Depth: 1, Tokens: 2})
	if err != nil {
		return nil, false
	}
	return v.Bytes()
}

// publish keeps this node's contact in the DHTs of large groups.
func (d *dhts) publish() {
	d.mu.Lock()
	var large []*groupDHT
	for _, at := range d.of {
		if at.large {
			large = append(large, at)
		}
	}
	d.mu.Unlock()
	for _, at := range large {
		it, ok := contactItem(d.s.cfg.Key, d.s.groups.Contact(at.id))
		if !ok {
			continue
		}
		d.mu.Lock()
		if at.contact == nil || !slices.Equal(at.contact.Value, it.Value) {
			if at.release != nil {
				at.release()
			}
			at.contact, at.release = it, at.Hold(kad.Event{Op: kad.PutItem, Item: it}, nil)
		}
		d.mu.Unlock()
	}
}

// seekContact looks in the DHTs of large groups for where a member is, if that is not known.
func (s *Service) seekContact(ctx context.Context, id ident.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, contactTime)
	defer cancel()
	target := krpc.MutableTarget(id, []byte(contactSalt))
	for _, g := range s.groups.Shared(id) {
		at := s.dhts.get(g)
		if at == nil || !s.dhts.isLarge(at) {
			continue
		}
		it, _, err := at.Get(ctx, target, []byte(contactSalt))
		if err != nil || it == nil {
			continue
		}
		if raw, ok := contactOf(it); ok && s.groups.Hear(g, raw) == nil {
			return
		}
	}
}

// where are the addresses of a member that is to be dialled, looked for if none is known.
func (s *Service) where(ctx context.Context, id ident.NodeID) []group.Address {
	at := s.groups.Where(id)
	if len(at) == 0 {
		s.seekContact(ctx, id)
		at = s.groups.Where(id)
	}
	return at
}

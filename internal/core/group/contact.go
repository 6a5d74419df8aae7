package group

import (
	"bytes"
	"errors"

	"shoal/internal/core/bencode"
	"shoal/internal/core/ident"
)

// contactDomain is what a contact is signed for.
const contactDomain ident.Domain = "group contact"

// Bounds of a contact.
const (
	MaxAddrs   = 8   // addresses of one node
	MaxContact = 768 // bytes
)

// ErrContact says that bytes are no contact.
var ErrContact = errors.New("group: not the contact of a member")

// Contact is what a member says of itself to a group: where it is reached. It is signed,
// so that members can pass it on, and of one group, so that passing it on tells nothing of
// others.
type Contact struct {
	Group ID
	Node  ident.NodeID
	Addrs []Address // at most MaxAddrs
	Time  int64     // unix seconds by the node's clock: a later one takes the place of an earlier
}

// Seal signs the contact of the key's node: an envelope of a dictionary of a (addresses as
// in a ticket), g (group) and t (time).
func (c *Contact) Seal(key ident.Key) []byte {
	env := key.Seal(contactDomain, c.payload())
	return env.Append(nil)
}

func (c *Contact) payload() []byte {
	b := append([]byte(nil), "d1:a"...)
	b = bencode.AppendString(b, AppendAddrs(nil, c.Addrs))
	b = append(b, "1:g"...)
	b = bencode.AppendString(b, c.Group[:])
	b = append(b, "1:t"...)
	b = bencode.AppendInt(b, c.Time)
	return append(b, 'e')
}

// ParseContact reads what Seal wrote, and checks the signature.
func ParseContact(raw []byte) (Contact, error) {
	if len(raw) > MaxContact {
		return Contact{}, ErrContact
	}
	env, err := ident.ParseEnvelope(raw)
	if err != nil || env.Open(contactDomain) != nil {
		return Contact{}, ErrContact
	}
	v, err := bencode.Parse(env.Payload, bencode.Limits{Depth: 2, Tokens: 16})
	if err != nil {
		return Contact{}, ErrContact
	}
	c := Contact{Node: env.Author}
	at, _ := v.Get("a").Bytes()
	g, _ := v.Get("g").Bytes()
	copy(c.Group[:], g)
	c.Time, _ = v.Get("t").Int()
	c.Addrs, err = ParseAddrs(at)
	if err != nil || c.Time < 0 || c.Time > maxTime || !bytes.Equal(c.payload(), env.Payload) {
		return Contact{}, ErrContact
	}
	return c, nil
}

// AppendAddrs writes addresses as tickets do: at most MaxAddrs of them.
func AppendAddrs(dst []byte, addrs []Address) []byte {
	for _, a := range addrs[:min(len(addrs), MaxAddrs)] {
		dst = a.append(dst)
	}
	return dst
}

// ParseAddrs reads what AppendAddrs wrote.
func ParseAddrs(b []byte) ([]Address, error) {
	var addrs []Address
	for len(b) > 0 {
		a, rest, ok := parseAddress(b)
		if !ok || len(addrs) >= MaxAddrs {
			return nil, ErrContact
		}
		addrs, b = append(addrs, a), rest
	}
	return addrs, nil
}

// Fits tells that an address can be written: an address and a port, no zone, no IPv4 in
// the clothes of IPv6.
func (a *Address) Fits() bool {
	ip := a.At.Addr()
	return ip.IsValid() && ip.Zone() == "" && !ip.Is4In6() && !ip.IsUnspecified() && a.At.Port() != 0
}

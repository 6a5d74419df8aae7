package krpc

import (
	"math"
	"math/bits"
	"net/netip"

	"shoal/internal/core/bencode"
)

// bad is the fault of a field of the wrong type or length.
func bad(f field) *Fault { return &faultBad[bits.TrailingZeros32(uint32(f))] }

// keep copies b into m's memory.
func (m *Message) keep(b []byte) []byte {
	from := len(m.room.bytes)
	m.room.bytes = append(m.room.bytes, b...)
	return m.room.bytes[from:len(m.room.bytes):len(m.room.bytes)]
}

// field reads one key's value.
func (m *Message) field(f field, v bencode.Value) error {
	ok := false
	switch f {
	case fID:
		ok = exactly(m.ID[:], v)
	case fTarget, fInfoHash:
		ok = exactly(m.Target[:], v)
	case fKey:
		ok = exactly(m.Item.Key[:], v)
	case fSig:
		ok = exactly(m.Item.Sig[:], v)
	case fToken:
		return m.token(v)
	case fSalt:
		return m.salt(v)
	case fValue:
		return m.value(v)
	case fImplied:
		var n int64
		n, ok = v.Int()
		m.ImpliedPort = n != 0
	case fPort:
		ok = true // what is no port counts as none, which is refused where it would count
		if n, is := v.Int(); is && n > 0 && n <= math.MaxUint16 {
			m.Port = uint16(n)
		}
	case fInterval:
		m.Interval, ok = v.Int()
		ok = ok && m.Interval >= 0 && m.Interval <= MaxInterval
	case fNum:
		m.Num, ok = v.Int()
		ok = ok && m.Num >= 0
	case fSeq:
		m.Item.Seq, ok = v.Int()
		m.HasSeq = ok
	case fCAS:
		m.CAS, ok = v.Int()
		m.HasCAS = ok
	case fWant:
		ok = m.want(v)
	case fNodes:
		m.Nodes, ok = m.nodes(0, v)
		m.HasNodes = ok
	case fNodes6:
		m.Nodes6, ok = m.nodes(1, v)
		m.HasNodes6 = ok
	case fValues:
		ok = m.values(v)
	case fSamples:
		ok = m.samples(v)
	}
	if !ok {
		return bad(f)
	}
	return nil
}

// exactly reads a string of one length.
func exactly(dst []byte, v bencode.Value) bool {
	b, ok := v.Bytes()
	return ok && copy(dst, b) == len(b) && len(b) == len(dst)
}

func (m *Message) token(v bencode.Value) error {
	b, ok := v.Bytes()
	if !ok || len(b) > MaxToken {
		return faultToken
	}
	if len(b) > 0 {
		m.Token = m.keep(b)
	}
	return nil
}

func (m *Message) salt(v bencode.Value) error {
	b, ok := v.Bytes()
	switch {
	case !ok:
		return bad(fSalt)
	case len(b) > MaxSalt:
		return faultSaltSize
	}
	if len(b) > 0 { // an empty salt is none
		m.Item.Salt = m.keep(b)
	}
	return nil
}

func (m *Message) value(v bencode.Value) error {
	switch {
	case len(v.Raw()) > MaxValue:
		return faultValueSize
	case !v.Canonical():
		return faultValue
	}
	m.Item.Value = m.keep(v.Raw())
	return nil
}

func (m *Message) want(v bencode.Value) bool {
	if v.Kind() != bencode.List {
		return false
	}
	c := v.Cursor()
	for c.Enter(); c.More(); {
		b, ok := c.Value().Bytes()
		if !ok {
			return false
		}
		m.Want4 = m.Want4 || string(b) == "n4"
		m.Want6 = m.Want6 || string(b) == "n6"
	}
	return true
}

// reserve empties a list and makes room for n.
func reserve[T any](list []T, n int) []T {
	if cap(list) < n || list == nil {
		return make([]T, 0, n)
	}
	return list[:0]
}

// nodes reads compact node infos: of IPv4 (family 0) or IPv6 (family 1).
func (m *Message) nodes(family int, v bencode.Value) ([]Node, bool) {
	b, ok := v.Bytes()
	each := len(ID{}) + compact4
	if family == 1 {
		each = len(ID{}) + compact6
	}
	if !ok || len(b)%each != 0 || len(b)/each > MaxNodes {
		return nil, false
	}
	list := reserve(m.room.nodes[family], len(b)/each)
	for ; len(b) > 0; b = b[each:] {
		if a := address(b[len(ID{}):each]); namesPlace(a) {
			list = append(list, Node{ID(b[:len(ID{})]), a})
		}
	}
	m.room.nodes[family] = list
	return list, true
}

func (m *Message) values(v bencode.Value) bool {
	n := v.Len()
	if v.Kind() != bencode.List || n > MaxValues {
		return false
	}
	list := reserve(m.room.values, n)
	c := v.Cursor()
	for c.Enter(); c.More(); {
		b, ok := c.Value().Bytes()
		if !ok || len(b) != compact4 && len(b) != compact6 {
			return false
		}
		if a := address(b); namesPlace(a) {
			list = append(list, a)
		}
	}
	m.room.values, m.Values, m.HasValues = list, list, true
	return true
}

func (m *Message) samples(v bencode.Value) bool {
	b, ok := v.Bytes()
	if !ok || len(b)%len(ID{}) != 0 || len(b)/len(ID{}) > MaxSamples {
		return false
	}
	list := reserve(m.room.samples, len(b)/len(ID{}))
	for ; len(b) > 0; b = b[len(ID{}):] {
		list = append(list, ID(b[:len(ID{})]))
	}
	m.room.samples, m.Samples, m.HasSamples = list, list, true
	return true
}

// Compact addresses: 4 or 16 bytes and a port.
const (
	compact4 = 4 + 2
	compact6 = 16 + 2
)

// address reads a compact address of either length.
func address(b []byte) netip.AddrPort {
	n := len(b) - 2
	ip, _ := netip.AddrFromSlice(b[:n])
	return netip.AddrPortFrom(ip, uint16(b[n])<<8|uint16(b[n+1]))
}

// namesPlace tells whether an address could be anybody's; others are left out of lists.
func namesPlace(a netip.AddrPort) bool {
	ip := a.Addr()
	return a.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.Is4In6()
}

// seenAs reads the address of BEP 42's ip: with a port, or without one as old programs write it. Anything else is none.
func seenAs(b []byte) netip.AddrPort {
	switch len(b) {
	case compact4, compact6:
		a := address(b)
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	case compact4 - 2, compact6 - 2:
		ip, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(ip.Unmap(), 0)
	}
	return netip.AddrPort{}
}

package krpc

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"shoal/internal/core/bencode"
)

// Append appends the message in canonical bencoding: for each kind and method the keys that belong to it. What has no
// form is left out: a node or peer whose address isn't valid or is of the other family. A Message without a kind, a
// query without a known method and a put without a value append nothing. The limits are the caller's duty.
func (m *Message) Append(dst []byte) []byte {
	if !m.writable() {
		return dst
	}
	dst = append(dst, 'd')
	switch m.Kind {
	case Query:
		dst = m.appendFields(append(dst, "1:a"...), m.asked())
	case Error:
		dst = bencode.AppendInt(append(dst, "1:el"...), int64(m.Code))
		dst = append(bencode.AppendString(dst, m.Text), 'e')
	}
	if m.IP.IsValid() {
		dst = appendAddress(append(dst, "2:ip"...), m.IP)
	}
	switch m.Kind {
	case Query:
		dst = bencode.AppendString(append(dst, "1:q"...), methods[m.Method])
		if m.ReadOnly {
			dst = append(dst, "2:roi1e"...)
		}
	case Response:
		dst = m.appendFields(append(dst, "1:r"...), m.told())
	}
	dst = bencode.AppendString(append(dst, "1:t"...), m.TID)
	if m.Version != [4]byte{} {
		dst = bencode.AppendString(append(dst, "1:v"...), m.Version[:])
	}
	return append(append(dst, "1:y1:"...), "qre"[m.Kind-Query], 'e')
}

// writable tells whether the message has a form.
func (m *Message) writable() bool {
	switch m.Kind {
	case Query:
		return m.Method > Unknown && m.Method <= SampleInfohashes && (m.Method != Put || len(m.Item.Value) > 0)
	case Response, Error:
		return true
	}
	return false
}

// asked is what a query holds.
func (m *Message) asked() field {
	f := queryShape[m.Method].must
	switch m.Method {
	case AnnouncePeer:
		f |= fPort | fImplied.when(m.ImpliedPort)
	case Get:
		f |= fSeq.when(m.HasSeq)
	case Put:
		f |= mutable.when(m.Item.Mutable) | fSalt.when(m.Item.Mutable && len(m.Item.Salt) > 0) | fCAS.when(m.Item.Mutable && m.HasCAS)
	}
	return f | fWant.when(m.Want4 || m.Want6)&queryShape[m.Method].may
}

// told is what an answer holds.
func (m *Message) told() field {
	sampled := m.HasSamples || len(m.Samples) > 0
	return fID | fNodes.when(m.HasNodes || len(m.Nodes) > 0) | fNodes6.when(m.HasNodes6 || len(m.Nodes6) > 0) |
		(fInterval | fNum | fSamples).when(sampled) | fToken.when(len(m.Token) > 0) |
		fValues.when(m.HasValues || len(m.Values) > 0) |
		fValue.when(len(m.Item.Value) > 0) | mutable.when(m.Item.Mutable && len(m.Item.Value) > 0) | fSeq.when(m.HasSeq)
}

// when is the field if it is there.
func (f field) when(there bool) field {
	if there {
		return f
	}
	return 0
}

// appendFields appends a dictionary of the fields, in order.
func (m *Message) appendFields(dst []byte, fields field) []byte {
	dst = append(dst, 'd')
	for i, name := range names {
		if f := field(1) << i; fields&f != 0 {
			dst = m.appendField(bencode.AppendString(dst, name), f)
		}
	}
	return append(dst, 'e')
}

func (m *Message) appendField(dst []byte, f field) []byte {
	switch f {
	case fCAS:
		return bencode.AppendInt(dst, m.CAS)
	case fID:
		return bencode.AppendString(dst, m.ID[:])
	case fImplied:
		return append(dst, "i1e"...)
	case fInfoHash, fTarget:
		return bencode.AppendString(dst, m.Target[:])
	case fInterval:
		return bencode.AppendInt(dst, m.Interval)
	case fKey:
		return bencode.AppendString(dst, m.Item.Key[:])
	case fNodes:
		return appendNodes(dst, m.Nodes, compact4)
	case fNodes6:
		return appendNodes(dst, m.Nodes6, compact6)
	case fNum:
		return bencode.AppendInt(dst, m.Num)
	case fPort:
		return bencode.AppendInt(dst, int64(m.Port))
	case fSalt:
		return bencode.AppendString(dst, m.Item.Salt)
	case fSamples:
		return appendSamples(dst, m.Samples)
	case fSeq:
		return bencode.AppendInt(dst, m.Item.Seq)
	case fSig:
		return bencode.AppendString(dst, m.Item.Sig[:])
	case fToken:
		return bencode.AppendString(dst, m.Token)
	case fValue:
		return append(dst, m.Item.Value...)
	case fValues:
		return appendValues(dst, m.Values)
	}
	return appendWant(dst, m.Want4, m.Want6)
}

func appendWant(dst []byte, want4, want6 bool) []byte {
	dst = append(dst, 'l')
	if want4 {
		dst = append(dst, "2:n4"...)
	}
	if want6 {
		dst = append(dst, "2:n6"...)
	}
	return append(dst, 'e')
}

// appendNodes appends the nodes whose compact addresses have a length.
func appendNodes(dst []byte, nodes []Node, length int) []byte {
	n := 0
	for i := range nodes {
		if compactLen(nodes[i].Addr) == length {
			n += len(ID{}) + length
		}
	}
	dst = appendLen(dst, n)
	for i := range nodes {
		if compactLen(nodes[i].Addr) == length {
			dst = appendCompact(append(dst, nodes[i].ID[:]...), nodes[i].Addr)
		}
	}
	return dst
}

func appendValues(dst []byte, values []netip.AddrPort) []byte {
	dst = append(dst, 'l')
	for _, a := range values {
		if a.IsValid() {
			dst = appendAddress(dst, a)
		}
	}
	return append(dst, 'e')
}

func appendSamples(dst []byte, samples []ID) []byte {
	dst = appendLen(dst, len(samples)*len(ID{}))
	for i := range samples {
		dst = append(dst, samples[i][:]...)
	}
	return dst
}

// appendAddress appends a compact address with its length.
func appendAddress(dst []byte, a netip.AddrPort) []byte {
	return appendCompact(appendLen(dst, compactLen(a)), a)
}

// compactLen is the length of a compact address, 0 if there is none. An IPv4 address is one in either form.
func compactLen(a netip.AddrPort) int {
	switch {
	case !a.IsValid():
		return 0
	case a.Addr().Unmap().Is4():
		return compact4
	}
	return compact6
}

func appendCompact(dst []byte, a netip.AddrPort) []byte {
	if ip := a.Addr().Unmap(); ip.Is4() {
		b := ip.As4()
		dst = append(dst, b[:]...)
	} else {
		b := ip.As16()
		dst = append(dst, b[:]...)
	}
	return binary.BigEndian.AppendUint16(dst, a.Port())
}

// appendLen appends the head of a string of n bytes.
func appendLen(dst []byte, n int) []byte {
	return append(strconv.AppendInt(dst, int64(n), 10), ':')
}

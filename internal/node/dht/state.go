package dht

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"shoal/internal/core/bencode"
	"shoal/internal/core/kad/krpc"
)

// State is what a node keeps from run to run, so that it is back in the network with the
// first answers: its id, and nodes that answered.
type State struct {
	ID    krpc.ID // zero: none
	Nodes []krpc.Node
}

// ErrState says that bytes are no State.
var ErrState = errors.New("dht: not the state of a node")

// Bytes of a node in a State: its id, its address and its port.
const (
	node4 = 20 + 4 + 2
	node6 = 20 + 16 + 2
)

// Append appends the state as it is kept in a file: a dictionary of id, nodes and nodes6
// as an answer to find_node has them (BEP 5, 32).
func (s State) Append(dst []byte) []byte {
	var four, six []byte
	for _, n := range s.Nodes {
		b := &six
		a := n.Addr.Addr().Unmap().WithZone("")
		switch {
		case !a.IsValid():
			continue
		case a.Is4():
			b = &four
		}
		*b = append(*b, n.ID[:]...)
		*b = append(*b, a.AsSlice()...)
		*b = binary.BigEndian.AppendUint16(*b, n.Addr.Port())
	}
	dst = append(dst, 'd')
	for _, kv := range []struct {
		key   string
		value []byte
	}{{"id", s.ID[:]}, {"nodes", four}, {"nodes6", six}} {
		dst = bencode.AppendString(dst, kv.key)
		dst = bencode.AppendString(dst, kv.value)
	}
	return append(dst, 'e')
}

// ParseState reads what Append wrote: at most MaxSaved nodes of each family. The error is
// ErrState.
func ParseState(b []byte) (State, error) {
	var s State
	v, err := bencode.Parse(b, bencode.Limits{Depth: 2, Tokens: 16})
	if err != nil {
		return s, ErrState
	}
	id, _ := v.Get("id").Bytes() // none is none that IDOf takes
	var ok bool
	if s.ID, ok = krpc.IDOf(id); !ok {
		return State{}, ErrState
	}
	for _, f := range []struct {
		key  string
		each int
	}{{"nodes", node4}, {"nodes6", node6}} {
		list, ok := v.Get(f.key).Bytes()
		if !ok || len(list)%f.each != 0 || len(list)/f.each > MaxSaved {
			return State{}, ErrState
		}
		for ; len(list) > 0; list = list[f.each:] {
			if n := nodeOf(list[:f.each]); !n.Addr.Addr().Is4In6() {
				s.Nodes = append(s.Nodes, n)
			}
		}
	}
	return s, nil
}

func nodeOf(b []byte) krpc.Node {
	id, _ := krpc.IDOf(b[:20])
	a, _ := netip.AddrFromSlice(b[20 : len(b)-2])
	return krpc.Node{ID: id, Addr: netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[len(b)-2:]))}
}

package porch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// house is a Host of one share, which ends as often as it says before it takes anybody.
type house struct {
	hash   metainfo.InfoHash
	ending int
	finds  int
	gone   bool
	taken  chan wire.Handshake
}

func (h *house) Admit(netip.AddrPort) error                                { return nil }
func (h *house) Connect(context.Context, netip.AddrPort) (net.Conn, error) { return nil, ErrGone }
func (h *house) Hash() metainfo.InfoHash                                   { return h.hash }
func (h *house) Caps() wire.Capability                                     { return 0 }

func (h *house) Find(name [20]byte, _ netip.AddrPort) Share {
	h.finds++
	if h.gone && h.finds > 1 {
		return nil
	}
	for _, n := range h.hash.Wire() {
		if n == name {
			return h
		}
	}
	return nil
}

func (h *house) Take(_ net.Conn, theirs wire.Handshake) bool {
	if h.ending > 0 {
		h.ending--
		return false
	}
	h.taken <- theirs
	return true
}

func newHouse(v metainfo.Version) *house {
	h := &house{taken: make(chan wire.Handshake, 1)}
	h.hash.Version = v
	if h.hash.HasV1() {
		h.hash.V1 = [20]byte{1}
	}
	if h.hash.HasV2() {
		h.hash.V2 = [32]byte{2}
	}
	return h
}

// call has a stranger call under a name and returns the answer.
func call(t *testing.T, h *house, name [20]byte, caps ...wire.Capability) (wire.Handshake, error) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { far.Close() })
	if err := far.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go New(h, wire.PeerID{}, 1).Incoming(context.Background(), near)
	hello := wire.Handshake{InfoHash: name}
	for _, c := range caps {
		hello.Set(c)
	}
	if _, err := far.Write(hello.Append(nil)); err != nil {
		return wire.Handshake{}, err
	}
	answer, err := link.ReadHandshake(far)
	if err != nil {
		return answer, err
	}
	if h.gone {
		_, err = far.Read(make([]byte, 1))
	}
	return answer, err
}

// TestIncoming: who calls is answered by the name that both can speak (BEP 52), and a share
// that ends just then is asked for again.
func TestIncoming(t *testing.T) {
	v1, v2 := [20]byte{1}, [20]byte{2}
	for _, c := range []struct {
		what   string
		v      metainfo.Version
		name   [20]byte
		caps   []wire.Capability
		answer [20]byte
		ending int
	}{
		{"v1", metainfo.V1, v1, nil, v1, 0},
		{"v1 by one that knows v2", metainfo.V1, v1, []wire.Capability{wire.CapV2}, v1, 0},
		{"v2", metainfo.V2, v2, []wire.Capability{wire.CapV2}, v2, 0},
		{"hybrid by v1", metainfo.Hybrid, v1, nil, v1, 0},
		{"hybrid by v1, upgraded", metainfo.Hybrid, v1, []wire.Capability{wire.CapV2}, v2, 0},
		{"hybrid by v2", metainfo.Hybrid, v2, []wire.Capability{wire.CapV2}, v2, 0},
		{"just parked", metainfo.Hybrid, v1, nil, v1, 2},
	} {
		h := newHouse(c.v)
		h.ending = c.ending
		got, err := call(t, h, c.name, c.caps...)
		if err != nil || got.InfoHash != c.answer || got.Has(wire.CapV2) != h.hash.HasV2() {
			t.Errorf("%s: %+v, %v", c.what, got, err)
			continue
		}
		if theirs := <-h.taken; theirs.InfoHash != c.answer {
			t.Errorf("%s: handed over as %x", c.what, theirs.InfoHash)
		}
	}
}

// TestIncomingOfNone: who asks for what is not here gets no answer; who asks for what ends
// meanwhile is let go.
func TestIncomingOfNone(t *testing.T) {
	if got, err := call(t, newHouse(metainfo.V1), [20]byte{9}); err == nil {
		t.Errorf("answered by %+v", got)
	}
	h := newHouse(metainfo.V1)
	h.ending, h.gone = 1, true
	if _, err := call(t, h, [20]byte{1}); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not let go: %v", err)
	}
}

// place is a connection with addresses.
type place struct {
	net.Conn
	local, remote netip.AddrPort
}

// stream is a place in the overlay.
type stream struct{ place }

func (stream) Via() (string, ident.NodeID) { return "tcp", ident.NodeID{} }

func (p place) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(p.local) }
func (p place) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.remote) }

// roads leads a house's dials to a connection with such addresses.
type roads struct {
	house
	local, remote netip.AddrPort
	overlay       bool
}

func (r *roads) Connect(context.Context, netip.AddrPort) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		_, _ = far.Read(make([]byte, 1))
		far.Close()
	}()
	p := place{near, r.local, r.remote}
	if r.overlay {
		return stream{p}, nil
	}
	return p, nil
}

// TestDialProves: who is dialled by an overlay address is told nothing unless the overlay
// says that it is there, and TCP does not dial such addresses at all. That both ends have such
// an address is no proof: whoever gives out addresses on the local network can have it so.
func TestDialProves(t *testing.T) {
	one, other, plain := overlay(1), overlay(2), netip.MustParseAddrPort("192.0.2.1:1")
	for _, c := range []struct {
		to, local, remote netip.AddrPort
		overlay, want     bool
	}{
		{one, other, one, true, true},
		{one, other, one, false, false},
		{one, other, other, true, false},
		{one, plain, one, true, false},
		{one, plain, plain, true, false},
		{plain, plain, plain, false, true},
		{plain, other, one, true, false},
	} {
		r := &roads{house: *newHouse(metainfo.V2), local: c.local, remote: c.remote, overlay: c.overlay}
		if _, _, err := New(r, wire.PeerID{}, 1).Dial(t.Context(), Call{Hash: r.hash, To: c.to, May: func() bool { return true }}); errors.Is(err, ErrOverlay) == c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := TCP(nil)(t.Context(), one); !errors.Is(err, ErrOverlay) {
		t.Errorf("TCP dials it: %v", err)
	}
}

func overlay(n byte) netip.AddrPort { return ident.NewKey([ident.SeedSize]byte{n}).ID().Addr() }

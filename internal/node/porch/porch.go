package porch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// Timeout is how long a handshake, and connecting before it, may take.
const Timeout = 10 * time.Second

// Why a connection came to nothing, besides the system's own errors and those of package
// wire.
var (
	ErrOtherShare = errors.New("the peer answered for another share")
	ErrUnknown    = errors.New("no such share here")
	ErrGone       = errors.New("the share is being stopped")
	ErrOverlay    = errors.New("an address of the overlay on a connection that is none of it")
)

// Host is what a Porch needs to know of those who live behind it. Its methods are called
// from any goroutine.
type Host interface {
	// Admit is an error if a stranger at that address is not to be answered now.
	Admit(from netip.AddrPort) error
	// Find is the share of that name on the wire, nil if there is none, or none that the
	// peer at that address may know of.
	Find(name [20]byte, from netip.AddrPort) Share
	// Connect opens a connection to a peer, by whatever carrier.
	Connect(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// TCP opens connections by TCP, within Timeout. from tells where to dial a peer from, the
// zero value being anywhere; nil is anywhere too.
func TCP(from func(peer netip.Addr) (netip.Addr, error)) func(context.Context, netip.AddrPort) (net.Conn, error) {
	return func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		if ident.IsOverlay(to.Addr()) {
			return nil, ErrOverlay
		}
		d := net.Dialer{Timeout: Timeout}
		if from != nil {
			local, err := from(to.Addr())
			if err != nil {
				return nil, err
			}
			if local.IsValid() {
				d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
			}
		}
		return d.DialContext(ctx, "tcp", to.String())
	}
}

// Share is one share that strangers may call.
type Share interface {
	// Hash is what is known of its info hashes now.
	Hash() metainfo.InfoHash
	// Caps are what the handshake tells besides what every one does.
	Caps() wire.Capability
	// Take takes a connection over, or closes it; false if the share has just ended.
	Take(nc net.Conn, theirs wire.Handshake) bool
}

// Porch shakes hands for one node.
type Porch struct {
	host  Host
	id    wire.PeerID
	dials chan struct{} // a token per half-open connection
	kept  chan struct{} // likewise, for those that are first
}

// New makes a Porch of a node that calls itself id and has at most so many half-open
// connections of its own. Kept of them are for calls that are First.
func New(host Host, id wire.PeerID, dialling int) *Porch {
	kept := Kept(dialling)
	return &Porch{host: host, id: id, dials: make(chan struct{}, dialling-kept), kept: make(chan struct{}, kept)}
}

// Kept is how many of so many half-open connections strangers' addresses do not get.
func Kept(dialling int) int { return dialling / 4 }

// Listen takes connections until the listener is closed or ctx ends; each is judged by its
// handshake in a goroutine of its own.
func (p *Porch) Listen(ctx context.Context, l net.Listener) {
	waiting := newPlaces()
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return
			}
			// Out of descriptors, or a connection that ended at once: not a reason to spin.
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return
			}
			continue
		}
		if !waiting.enter(ctx, nc) {
			nc.Close()
			return
		}
		go func() {
			defer waiting.leave(nc)
			p.Incoming(ctx, nc)
		}()
	}
}

// Incoming takes a connection that somebody opened to us, by whatever carrier. It reads
// the handshake, finds the share and hands the connection over, or closes it.
func (p *Porch) Incoming(ctx context.Context, nc net.Conn) {
	if err := p.incoming(ctx, nc); err != nil {
		nc.Close()
	}
}

func (p *Porch) incoming(ctx context.Context, nc net.Conn) error {
	from := link.AddrOf(nc.RemoteAddr())
	if !link.Proven(nc) {
		return ErrOverlay
	}
	if err := p.host.Admit(from); err != nil {
		return err
	}
	if err := nc.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return err
	}
	abort := context.AfterFunc(ctx, func() { nc.Close() })
	defer abort()
	theirs, err := link.ReadHandshake(nc)
	if err != nil {
		return err
	}
	s := p.host.Find(theirs.InfoHash, from)
	if s == nil {
		return ErrUnknown
	}
	// A v2 peer that called by the v1 name is answered by the v2 name (BEP 52).
	answer, h := theirs.InfoHash, s.Hash()
	if h.HasV1() && h.HasV2() && answer == h.V1 && theirs.Has(wire.CapV2) {
		answer = h.V2Short()
	}
	if _, err := nc.Write(p.ours(answer, h.HasV2(), s.Caps()).Append(nil)); err != nil {
		return err
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		return err
	}
	name := theirs.InfoHash
	theirs.InfoHash = answer
	for ; s != nil; s = p.host.Find(name, from) { // again, for it may have ended for lack of peers
		if s.Take(nc, theirs) {
			return nil
		}
	}
	return ErrGone
}

// Call says whom to call, and how.
type Call struct {
	Hash  metainfo.InfoHash // names of the share
	Caps  wire.Capability   // what the handshake tells besides what every one does
	To    netip.AddrPort
	First bool        // no stranger named it: it does not wait for those that strangers did
	May   func() bool // asked once the connection stands: may the peer still hear of the share
}

// Dial opens a connection to a peer of a share and shakes hands. Where the peer answered by
// the v2 name, so does the handshake that is returned.
func (p *Porch) Dial(ctx context.Context, c Call) (net.Conn, wire.Handshake, error) {
	leave := p.enter(ctx, c.First)
	if leave == nil {
		return nil, wire.Handshake{}, ErrGone
	}
	defer leave()
	nc, err := p.host.Connect(ctx, c.To)
	if err != nil {
		return nil, wire.Handshake{}, err
	}
	far := link.AddrOf(nc.RemoteAddr()).Addr()
	if !link.Proven(nc) || (ident.IsOverlay(c.To.Addr()) || ident.IsOverlay(far)) && far != c.To.Addr() {
		nc.Close()
		return nil, wire.Handshake{}, ErrOverlay
	}
	if !c.May() {
		nc.Close()
		return nil, wire.Handshake{}, ErrUnknown
	}
	abort := context.AfterFunc(ctx, func() { nc.Close() })
	theirs, err := p.greet(c.Hash, c.Caps, nc)
	if abort(); err != nil {
		nc.Close()
		return nil, wire.Handshake{}, err
	}
	return nc, theirs, nil
}

// enter waits for a place among the half-open connections; what it returns gives that back.
// Nil: ctx has ended.
func (p *Porch) enter(ctx context.Context, first bool) (leave func()) {
	var kept chan struct{} // nobody's
	if first {
		kept = p.kept
	}
	select {
	case p.dials <- struct{}{}:
		return func() { <-p.dials }
	case kept <- struct{}{}:
		return func() { <-p.kept }
	case <-ctx.Done():
		return nil
	}
}

// greet is the handshake of the side that dialled.
func (p *Porch) greet(h metainfo.InfoHash, caps wire.Capability, nc net.Conn) (wire.Handshake, error) {
	if err := nc.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return wire.Handshake{}, err
	}
	names := h.Wire()
	if _, err := nc.Write(p.ours(names[0], h.HasV2(), caps).Append(nil)); err != nil {
		return wire.Handshake{}, err
	}
	theirs, err := link.ReadHandshake(nc)
	if err != nil {
		return theirs, err
	}
	upgraded := h.HasV1() && h.HasV2() && theirs.InfoHash == h.V2Short()
	if theirs.InfoHash != names[0] && !upgraded {
		return theirs, ErrOtherShare
	}
	return theirs, nc.SetDeadline(time.Time{})
}

// ours tells what we can.
func (p *Porch) ours(hash [20]byte, v2 bool, caps wire.Capability) wire.Handshake {
	h := wire.Handshake{InfoHash: hash, PeerID: p.id}
	h.Set(wire.CapFast | wire.CapExtended | caps)
	if v2 {
		h.Set(wire.CapV2)
	}
	return h
}

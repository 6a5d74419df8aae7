package overlay

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	relayproto "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	ma "github.com/multiformats/go-multiaddr"

	"shoal/internal/core/ident"
)

// The relay's measures.
const (
	maxCircuits   = 32       // of one member at once
	maxPlaces     = 128      // members that keep a place here
	relayBuffer   = 32 << 10 // for each direction of a circuit
	guestBytes    = 64 << 10 // each way, of a guest's circuit
	guestShare    = 16       // one part in so many of the budget may go to guests
	refusalTime   = 10 * time.Second
	secondsPerDay = 24 * 60 * 60
)

// errSpent ends a circuit that the budget does not cover.
var errSpent = errors.New("overlay: the relay's budget is used up")

// budget is what members may send through us within a day of UTC.
type budget struct {
	h      *Host
	perDay int64

	mu     sync.Mutex
	day    int64
	used   int64
	lent   int64 // of that, to guests
	guests int
}

// today begins a new day. The lock is held.
func (b *budget) today() {
	if d := time.Now().Unix() / secondsPerDay; d != b.day {
		b.day, b.used, b.lent = d, 0, 0
	}
}

// lend is spend for a guest: strangers are not to use up what is for members.
func (b *budget) lend(n int) bool {
	b.mu.Lock()
	b.today()
	ok := b.lent+int64(n) <= b.perDay/guestShare
	if ok {
		b.lent += int64(n)
	}
	b.mu.Unlock()
	return ok && b.spend(n)
}

// spend takes bytes from the budget; false if there are not as many.
func (b *budget) spend(n int) bool {
	b.mu.Lock()
	b.today()
	before := b.used
	ok := before+int64(n) <= b.perDay
	if ok {
		b.used += int64(n)
	} else {
		b.used = b.perDay
	}
	b.mu.Unlock()
	if !ok && before < b.perDay {
		b.h.refuse(ident.NodeID{}, ReasonBudget)
	}
	return ok
}

// left is how much remains today.
func (b *budget) left() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today()
	return b.perDay - b.used
}

// guest takes, or with -1 gives back, a circuit for a guest.
func (b *budget) guest(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.guests+n > b.h.cfg.Guests {
		return false
	}
	b.guests += n
	return true
}

// RelayUsed is how many bytes went through us today, of how many that may.
func (h *Host) RelayUsed() (used, perDay int64) {
	return h.cfg.RelayBytes - h.budget.left(), h.cfg.RelayBytes
}

// startRelay serves circuits, without libp2p's limits of bytes and time: ours are the
// budget and who may.
func (h *Host) startRelay() error {
	if h.cfg.RelayBytes <= 0 {
		return nil
	}
	r, err := relay.New(&relayHost{Host: h.host, h: h},
		relay.WithResources(relay.Resources{ReservationTTL: time.Hour, MaxReservations: maxPlaces, MaxCircuits: maxCircuits,
			BufferSize: relayBuffer, MaxReservationsPerIP: maxPlaces, MaxReservationsPerASN: maxPlaces}),
		relay.WithACL(members{h}),
		relay.WithReservationAddressFilter(func(m ma.Multiaddr) bool { w, ok := parse(m); return ok && !w.relay && usable(w.at) }))
	h.relay = r
	return err
}

// members says who may use the relay.
type members struct{ h *Host }

// AllowReserve gives places to members.
func (m members) AllowReserve(p peer.ID, _ ma.Multiaddr) bool {
	id, ok := m.h.known(p)
	if !ok {
		m.h.refuse(id, ReasonRelay)
	}
	return ok
}

// AllowConnect connects to members alone; guests have been counted before (serve).
func (m members) AllowConnect(_ peer.ID, _ ma.Multiaddr, dest peer.ID) bool {
	id, ok := m.h.known(dest)
	if !ok {
		m.h.refuse(id, ReasonRelay)
	}
	return ok
}

// relayHost is the host as the relay sees it: it stands before the relay's handler and
// counts what goes through the streams.
type relayHost struct {
	host.Host
	h *Host
}

// SetStreamHandler puts serve before the handler, for members and, if the owner takes any,
// for guests.
func (r *relayHost) SetStreamHandler(p protocol.ID, f network.StreamHandler) {
	r.Host.SetStreamHandler(p, func(s network.Stream) { r.serve(s, f) })
	if p != relayproto.ProtoIDv2Hop || r.h.cfg.Guests <= 0 {
		return
	}
	r.h.hall.mux.AddHandler(p, guestHandler(func(s network.Stream) { r.serve(s, f) }))
	r.h.hall.mu.Lock()
	r.h.hall.anyone = true
	r.h.hall.mu.Unlock()
}

// RemoveStreamHandler takes both away.
func (r *relayHost) RemoveStreamHandler(p protocol.ID) {
	r.Host.RemoveStreamHandler(p)
	r.h.hall.mux.RemoveHandler(p)
}

// guestHandler is a handler of streams as a multiplexer takes it.
func guestHandler(f network.StreamHandler) func(protocol.ID, io.ReadWriteCloser) error {
	return func(_ protocol.ID, rw io.ReadWriteCloser) error {
		s, ok := rw.(network.Stream)
		if !ok {
			return errNoSocket
		}
		f(s)
		return nil
	}
}

// serve hands a stream to the relay, or says why not.
func (r *relayHost) serve(s network.Stream, f network.StreamHandler) {
	c := &circuit{Stream: s, budget: &r.h.budget, guest: r.h.hall.isGuest(s.Conn())}
	id, _ := nodeID(s.Conn().RemotePeer())
	switch {
	case r.h.budget.left() <= 0:
		r.h.refuse(id, ReasonBudget)
		turnAway(s)
	case c.guest && !r.h.budget.guest(1):
		r.h.refuse(id, ReasonGuests)
		turnAway(s)
	default:
		f(c)
	}
}

// turnAway answers with the status that circuit relay v2 has for it.
func turnAway(s network.Stream) {
	if s.SetDeadline(time.Now().Add(refusalTime)) != nil {
		s.Reset()
		return
	}
	answer := &pb.HopMessage{Type: pb.HopMessage_STATUS.Enum(), Status: pb.Status_RESOURCE_LIMIT_EXCEEDED.Enum()}
	if util.NewDelimitedWriter(s).WriteMsg(answer) != nil {
		s.Reset()
		return
	}
	s.Close()
}

// circuit is the stream of who opens a circuit: both directions pass it.
type circuit struct {
	network.Stream
	budget  *budget
	guest   bool
	in, out int // of a guest
	once    sync.Once
}

// Read takes what is to be passed on.
func (c *circuit) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	if c.in += n; n > 0 && !c.pays(c.in, n) {
		return 0, errSpent
	}
	return n, err
}

// Write gives what came from the other side.
func (c *circuit) Write(b []byte) (int, error) {
	if c.out += len(b); !c.pays(c.out, len(b)) {
		return 0, errSpent
	}
	return c.Stream.Write(b)
}

// pays tells whether n more bytes may pass, which make it so many in one direction.
func (c *circuit) pays(all, n int) bool {
	if c.guest {
		return all <= guestBytes && c.budget.lend(n)
	}
	return c.budget.spend(n)
}

func (c *circuit) leave() {
	if c.guest {
		c.once.Do(func() { c.budget.guest(-1) })
	}
}

// Close ends a guest's circuit, as every end does.
func (c *circuit) Close() error {
	c.leave()
	return c.Stream.Close()
}

// Reset ends it at once.
func (c *circuit) Reset() error {
	c.leave()
	return c.Stream.Reset()
}

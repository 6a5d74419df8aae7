package overlay

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"shoal/internal/core/ident"
)

// Datagrams is a UDP socket that QUIC shares with others. It is the socket itself, as QUIC
// reads and writes many packets in one call and marks them.
type Datagrams struct {
	Conn *net.UDPConn
	// Sort is shown every datagram and takes those that are not QUIC's; nil: all are. It
	// must not wait, and b is its own only until it returns.
	Sort func(b []byte, from netip.AddrPort) bool
	// Claim is told when a QUIC connection to an address begins and ends; nil: nobody is.
	Claim func(peer netip.AddrPort, stands bool)
}

// Config is what a Host is made of. Its functions are called from any goroutine and must
// not wait, nor call the Host.
type Config struct {
	Key ident.Key
	TCP []net.Listener // connections that begin as libp2p's do; may be empty. Close closes them
	UDP []Datagrams    // may be empty. Close leaves them open

	// Known tells that a node is a member of one of our groups, or somebody whom we are
	// just joining. Where it becomes false Drop must be called.
	Known func(ident.NodeID) bool
	// Allow is an error if nothing may be sent to that address. It is asked for each incoming
	// connection; of a relayed one the relay's address is judged.
	Allow func(netip.AddrPort) error
	// AllowDial is Allow at each dial: who reaches us shows an address, whom we dial has it from
	// others' word as a rule. nil: Allow.
	AllowDial func(netip.AddrPort) error
	// DialFrom is the local address to dial a peer from by TCP, the zero value being any;
	// nil: any.
	DialFrom func(peer netip.Addr) (netip.Addr, error)
	// External are addresses at which we are reached besides those that this package finds
	// out itself: mapped by the router, seen by the DHT. nil: none.
	External func() []netip.AddrPort

	Probe      bool  // have members test at which addresses we are reached, and test theirs (AutoNAT v2)
	Punch      bool  // open a way through NATs together with the peer (DCUtR)
	UsePlaces  bool  // keep places at members' relays while we are not known to be reachable
	Public     bool  // the owner says that others reach us: no places are kept
	MapPorts   bool  // have the router map the ports (UPnP, NAT-PMP): multicast, never in scope loopback
	RelayBytes int64 // how many bytes a day members may send through us; 0: we do not relay
	// Guests is how many circuits to members, of guestBytes each way, guests may have
	// through us at once: a ticket's inviter may be reachable through us alone.
	Guests int

	// Streams is how many streams of a protocol one peer may have open towards us;
	// DefaultStreams for those that are not named.
	Streams map[string]int
	Events  func(Event)  // nil: nobody listens
	Log     *slog.Logger // nil: quiet. libp2p has one log for all hosts of a process: the last one given

	times times
}

// times are how long the keeper waits; tests have no time.
type times struct {
	idle  time.Duration // between two looks whether a connection without streams lives
	busy  time.Duration // the same of one with streams
	dead  time.Duration // without an answer and without a byte
	leave time.Duration // that relayed connections stay when a direct one stands
	hands time.Duration // for shaking hands with who comes
}

var usualTimes = times{idle: 30 * time.Second, busy: 5 * time.Second, dead: 8 * time.Second, leave: 5 * time.Second, hands: 10 * time.Second}

// The limits of a host (home profile).
const (
	MaxConns        = 256 // connections in all
	MaxPeerConns    = 8   // of one peer, and of one address
	MaxPeerStreams  = 256 // that one peer has open towards us
	DefaultStreams  = 8   // of those, of one protocol
	MaxGuests       = 16  // guests at once
	lowConns        = 160 // more than highConns are trimmed to this
	highConns       = 192
	maxTransient    = 64 // connections whose peer is not proven yet
	maxAddresses    = 32 // kept of one peer
	maxDialled      = 16 // addresses of one peer that Connect takes
	maxTotalStreams = 4096
)

// Errors that callers decide on.
var (
	// ErrStranger says that the node is not one that we know.
	ErrStranger = errors.New("overlay: not a member of a group of ours")
	// ErrUnreachable says that no way led to the node.
	ErrUnreachable = errors.New("overlay: no way to the node")
	// ErrProtocol says that the node does not speak the protocol with us: it does not know
	// it, it does not know us, or it has as many streams of it as it allows.
	ErrProtocol = errors.New("overlay: the node does not speak that with us")
	// ErrClosed says that the host is closed.
	ErrClosed = errors.New("overlay: closed")
)

// EventKind is what an Event tells.
type EventKind uint8

// The events.
const (
	Connected    EventKind = iota + 1 // the first connection to a known peer stands
	Disconnected                      // its last one ended
	Direct                            // a peer that was reached through a relay is reached straight: streams through the relay end soon, new ones go straight
	Addresses                         // Addrs changed
	Refused                           // Peer was refused; Reason tells why
	Moved                             // the machine has other addresses; connections from those that are gone were ended
)

// Reasons of Refused, as fixed words.
const (
	ReasonStranger = "stranger"      // not known, and there is nothing for guests
	ReasonGuests   = "guests"        // as many guests as we take
	ReasonAddress  = "address"       // Allow said no
	ReasonKey      = "key"           // its key is no Ed25519 key
	ReasonBudget   = "relay-budget"  // RelayBytes are used up
	ReasonRelay    = "relay-members" // one end of the circuit is not known here
)

// Event is something that happened.
type Event struct {
	Kind   EventKind
	Peer   ident.NodeID
	Reason string
}

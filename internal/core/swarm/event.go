package swarm

import (
	"net/netip"
	"time"
)

// Peer is the driver's slot number of a connected peer. The driver gives a slot to a
// new peer only after it has delivered PeerDown of the one before.
type Peer uint32

// NoPeer stands where an event or effect concerns no peer.
const NoPeer = ^Peer(0)

// Kind tells what an Event or Effect is, and so which of its fields mean something.
type Kind uint8

// The kinds of events. P is the piece, B the begin, N the length where not said
// otherwise.
const (
	_             Kind = iota
	PeerUp             // Peer, Flags, Addr, ID: the handshake is done
	PeerDown           // Peer
	GotChoke           // Peer
	GotUnchoke         // Peer
	GotInterested      // Peer
	GotUninterested
	GotHave        // Peer, P
	GotBitfield    // Peer, Data (as on the wire)
	GotHaveAll     // Peer (BEP 6)
	GotHaveNone    // Peer (BEP 6)
	GotRequest     // Peer, P, B, N
	GotCancel      // Peer, P, B, N
	GotBlock       // Peer, P, B, N; answered by Accept or Discard with the same Ref
	GotReject      // Peer, P, B, N (BEP 6)
	GotSuggest     // Peer, P (BEP 6)
	GotAllowedFast // Peer, P (BEP 6)
	GotDontHave    // Peer, P (BEP 54)
	GotUploadOnly  // Peer, N: 1 or 0 (BEP 21)
	GotReqQ        // Peer, N: requests that the peer is willing to queue (BEP 10)
	GotMetaSize    // Peer, N: bytes of info dictionary that the peer offers (BEP 9)
	GotMetaRequest // Peer, P (BEP 9)
	GotMetaData    // Peer, P, N: total size, Data
	GotMetaReject  // Peer, P
	GotHashes      // Peer, P: the piece whose leaves were asked for, Data: 32 bytes a leaf, checked against the piece's root by the driver
	GotHashReject  // Peer, P
	PieceGood      // P; Data: digests of its blocks if it was watched; Flags: V1Bad
	PieceBad       // P; Data: 32-byte digests of its blocks; Flags: V1Bad
	PieceLost      // P: what was on the disk is gone or changed
	PieceFailed    // P: it could not be stored (the environment's fault); the share is paused by the driver
	Credit         // Peer, N: bytes of blocks the peer's writer can take on top of what it has
	Tokens         // N: bytes the share may send under its limit
	MetaBad        // the dictionary of MetaComplete has another hash
	SetPriority    // P: first piece, B: end, N: 0 skip … 3 high
	SetSequential  // N: 1 or 0
	SetDeadline    // P, When: wanted before that time
	SetPaused      // N: 1 or 0
	SetLimited     // N: 1 when Tokens bound what is sent
	Wake           // the time of NextWake has come
	PeerBad        // Peer, N: the Reason that the driver found: it is closed and banned
)

// The kinds of effects.
const (
	_                  Kind = iota
	SendChoke               // Peer
	SendUnchoke             // Peer
	SendInterested          // Peer
	SendUninterested        // Peer
	SendHave                // Peer, P
	SendBitfield            // Peer: T.AppendBitfield gives the bits
	SendHaveAll             // Peer
	SendHaveNone            // Peer
	SendRequest             // Peer, P, B, N
	SendCancel              // Peer, P, B, N
	SendReject              // Peer, P, B, N
	SendSuggest             // Peer, P
	SendAllowedFast         // Peer, P
	SendDontHave            // Peer, P
	SendBlock               // Peer, P, B, N: read it and send it
	SendMetaRequest         // Peer, P
	SendMetaData            // Peer, P
	SendMetaReject          // Peer, P
	SendHashRequest         // Peer, P: ask for the leaf hashes of the piece (BEP 52)
	Accept                  // Ref: keep the block of that event
	Discard                 // Ref: drop it
	PieceFull               // P: every block is accepted; answer with PieceGood, PieceBad or PieceFailed
	PieceReset              // P: forget what was accepted of it; blocks accepted afterwards count
	MetaComplete            // Data: the info dictionary, to be checked (SetInfo or MetaBad)
	Close                   // Peer, Reason; Ban tells whether its address must not come back
	Penalise                // Peer, Reason: counted and shown, the connection stays
	Complete                // every wanted piece is there
	HybridInconsistent      // P: v2 agrees, v1 does not (BEP 52)
)

// Flags of PeerUp, PieceGood and PieceBad.
const (
	Fast     uint8 = 1 << iota // both sides speak BEP 6
	V2                         // the connection was made under the v2 info hash
	Loopback                   // many peers share the address: a ban goes by address and ID
	V1Bad                      // the SHA-1 differs
)

// Reason is a fixed word for why a peer was closed or penalised; it can be counted.
type Reason uint8

// The reasons. Append only: they are part of the API's events.
const (
	ReasonNone        Reason = iota
	ReasonProtocol           // a message that the protocol does not allow
	ReasonBadBlock           // sent a block that failed its hash
	ReasonBadMetadata        // sent metadata that failed its hash
	ReasonUnrequested        // blocks that nobody asked for
	ReasonFlood              // more requests than it was told we queue
	ReasonSnubbed            // delivers nothing of what it promised
	ReasonRedundant          // both sides are seeds
	ReasonHybrid             // the v1 side of an inconsistent hybrid
	ReasonBanned             // banned before
	ReasonIdle               // nothing heard for too long
	ReasonFull               // its place is needed
	ReasonSlow               // reads so slowly that what it asked for cannot be sent
	ReasonBadHashes          // hashes that do not lead to the root
)

var reasonWords = [...]string{"none", "protocol", "bad_block", "bad_metadata", "unrequested",
	"flood", "snubbed", "redundant", "hybrid_v1", "banned", "idle", "full", "slow", "bad_hashes"}

// String is the word that events and metrics carry.
func (r Reason) String() string {
	if int(r) < len(reasonWords) {
		return reasonWords[r]
	}
	return "unknown"
}

// Event is one thing that happened. Which fields mean something is said at its Kind.
// Data is valid only during the Step that is given it.
type Event struct {
	Kind    Kind
	Flags   uint8
	Peer    Peer
	P, B, N uint32
	Data    []byte
	ID      [20]byte
	Addr    netip.AddrPort
	When    time.Time
}

// Effect is one thing for the driver to do. Ref is the index in Events.List of the
// GotBlock that an Accept or Discard answers.
type Effect struct {
	Kind    Kind
	Ban     bool
	Reason  Reason
	Peer    Peer
	P, B, N uint32
	Ref     int32
	Data    []byte
}

// Events and Effects are reused by the driver from Step to Step.
type (
	Events  struct{ List []Event }
	Effects struct{ List []Effect }
)

// Reset empties the list and keeps its memory.
func (e *Events) Reset() { clear(e.List); e.List = e.List[:0] }

// Reset empties the list and keeps its memory.
func (e *Effects) Reset() { clear(e.List); e.List = e.List[:0] }

func (e *Effects) add(f Effect) { e.List = append(e.List, f) }
func (e *Effects) send(k Kind, p Peer) {
	e.List = append(e.List, Effect{Kind: k, Peer: p})
}
func (e *Effects) sendPiece(k Kind, p Peer, piece uint32) {
	e.List = append(e.List, Effect{Kind: k, Peer: p, P: piece})
}
func (e *Effects) sendBlock(k Kind, p Peer, piece, begin, n uint32) {
	e.List = append(e.List, Effect{Kind: k, Peer: p, P: piece, B: begin, N: n})
}

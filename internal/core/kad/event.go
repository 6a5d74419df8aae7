package kad

import (
	"net/netip"
	"time"

	"shoal/internal/core/kad/krpc"
)

// Kind tells what an Event or Effect is, and so which of its fields mean something.
type Kind uint8

// The kinds of events.
const (
	_         Kind = iota
	Datagram       // Addr: sender, Data
	Bootstrap      // Nodes: contacts to begin with, of an earlier run (Nodes) or named by others; a zero ID is unknown
	Routers        // Nodes: contacts that everybody begins with; they are in a table only while it has few others
	Find           // Handle, Op and what it needs: a search; ends with Done
	Hold           // as Find with Announce or Put, repeated until Cancel; Done after each round
	Cancel         // Handle: of Find or Hold; no Done follows
	Observed       // Addr: our own address, as found by other means than the DHT
	Wake           // the time of NextWake has come
)

// The kinds of effects.
const (
	_           Kind = iota
	Send             // Addr, Data
	FoundPeers       // Handle, Addrs: peers not told before in this search
	FoundItem        // Handle, Item: verified; of a mutable one only newer than told before
	FoundHashes      // Handle, Addr: whose, Hashes, Num: how many it has in all, Interval (BEP 51)
	Done             // Handle, Result: the search (or the round of a Hold) is over
	Address          // Addr: most nodes see us there, and it is news
	Identity         // ID: our own id is now this (BEP 42)
)

// Op is what a search is for.
type Op uint8

// The searches. Target is a node's id, an info hash or an item's target.
const (
	FindNode Op = iota // Target: the K nodes closest to it
	GetPeers           // Target; Enough
	Announce           // Target, Port (0: the datagram's own), Implied
	GetItem            // Target, Salt
	PutItem            // Item, CAS
	Sample             // Target: of the nodes closest to it (BEP 51)
	ops
)

// Event is one thing that happened. Which fields mean something is said at its Kind.
type Event struct {
	Kind    Kind
	Op      Op
	Paths   uint8  // paths that share no node; 0: one, and eight if the result is suspicious
	Port    uint16 // of our peer
	Implied bool   // the datagram's port is our peer's too; Port is for those who do not know that word
	Enough  int    // the search may end when so many peers are found; 0: never
	Handle  uint64 // the driver's name of a search, not 0
	Addr    netip.AddrPort
	Target  krpc.ID
	Data    []byte
	Salt    []byte
	Nodes   []krpc.Node
	Item    *krpc.Item // kept until the search ends, not written to
	CAS     int64      // the item's number that is to be replaced
	HasCAS  bool
}

// Why says how a search ended.
type Why uint8

// The ends of a search.
const (
	Exhausted Why = iota // the closest nodes have answered
	Satisfied            // enough was found
	Alone                // no node is known to begin with
	Refused              // too many searches wait, or the event makes no sense
	Outdated             // a newer item than that to be put is stored
)

var whyWords = [...]string{"exhausted", "satisfied", "alone", "refused", "outdated"}

// String is the word that logs and metrics carry.
func (w Why) String() string {
	if int(w) < len(whyWords) {
		return whyWords[w]
	}
	return "unknown"
}

// Result is how a search went.
type Result struct {
	Why    Why
	Nodes  []krpc.Node // that answered, closest first: at most K of each path
	Paths  int
	Asked  int // queries sent, repeats and stores included
	Lost   int // of them without an answer in time
	Hops   int // from table to the closest node: 1 if it was in the table
	Stored int // nodes that accepted the announcement or item
	Took   time.Duration
}

// Effect is one thing for the driver to do or to tell.
type Effect struct {
	Kind     Kind
	Handle   uint64
	Addr     netip.AddrPort
	Data     []byte
	Addrs    []netip.AddrPort
	Hashes   []krpc.ID
	Num      int64
	Interval time.Duration
	Item     *krpc.Item
	ID       krpc.ID
	Result   *Result
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

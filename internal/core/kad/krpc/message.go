package krpc

import "net/netip"

// Limits of a message. Parse refuses what is over them; whoever writes keeps within them.
const (
	MaxDatagram = 65_535 // bytes of a message
	MaxTID      = 32     // bytes of a transaction id
	MaxToken    = 128    // bytes of a token
	MaxNodes    = 64     // nodes of one family in an answer
	MaxValues   = 200    // peers in an answer
	MaxSamples  = 200    // info hashes in an answer (BEP 51)
	MaxInterval = 21_600 // seconds between two samples (BEP 51)
	MaxValue    = 1000   // bytes of a stored value, bencoded (BEP 44)
	MaxSalt     = 64     // bytes of a salt (BEP 44)
	MaxText     = 256    // bytes of an error's text that are kept
)

// Kind is what a message is.
type Kind uint8

// The kinds. The zero Kind is no message.
const (
	Query Kind = iota + 1
	Response
	Error
)

// Method is what a query asks for.
type Method uint8

// The methods. Unknown stands for any other name; such a query is parsed for its id and target.
const (
	Unknown Method = iota
	Ping
	FindNode
	GetPeers
	AnnouncePeer
	Get
	Put
	SampleInfohashes
)

// methods are the names of the methods.
var methods = [...]string{"", "ping", "find_node", "get_peers", "announce_peer", "get", "put", "sample_infohashes"}

func (m Method) String() string {
	if m == Unknown || int(m) >= len(methods) {
		return "unknown"
	}
	return methods[m]
}

// Codes of errors (BEP 5, 44).
const (
	CodeGeneric   = 201
	CodeServer    = 202
	CodeProtocol  = 203 // malformed, bad arguments or bad token
	CodeMethod    = 204 // method unknown
	CodeValueSize = 205 // a value over 1000 bytes
	CodeSignature = 206
	CodeSaltSize  = 207 // a salt over 64 bytes
	CodeCAS       = 301 // the stored sequence number is not the one expected
	CodeSeq       = 302 // a sequence number below the stored one
)

// Node is a node's contact.
type Node struct {
	ID   ID
	Addr netip.AddrPort
}

// Message is one message of any kind: which fields count follows from Kind and Method. Slices that Parse has set belong
// to the Message and hold until it is parsed into again; slices that the caller has set are never written to. A copy of
// a Message shares them.
type Message struct {
	Kind   Kind
	Method Method // of a query; an answer doesn't say
	TID    []byte // the asker's transaction id, at most MaxTID bytes

	ID       ID             // the sender's; none in an error
	Version  [4]byte        // the sender's program; zero if it doesn't say
	ReadOnly bool           // the asker answers no queries (BEP 43)
	IP       netip.AddrPort // answers and errors: where the asker was seen (BEP 42); zero if not said, port 0 if only the address

	// Queries.
	Target       ID   // target or info_hash
	HasTarget    bool // set by Parse: an unknown method has one
	Want4, Want6 bool // families of nodes that are asked for (BEP 32); none: the datagram's own
	Port         uint16
	ImpliedPort  bool // announce_peer: the datagram's port counts, not Port
	CAS          int64
	HasCAS       bool // put: the sequence number to be replaced is CAS

	// Answers; Token is in announce_peer and put too. An empty list is written if its Has is set.
	Token      []byte
	Nodes      []Node // IPv4
	Nodes6     []Node // IPv6
	Values     []netip.AddrPort
	Samples    []ID
	Interval   int64 // seconds until Samples change
	Num        int64 // info hashes stored, of which Samples are some
	HasNodes   bool
	HasNodes6  bool
	HasValues  bool
	HasSamples bool
	Code       int    // an error's
	Text       string // an error's, at most MaxText bytes of it; raw bytes of a stranger

	Item   Item // put, and the answer to get, which has no Salt (BEP 44); of get: Seq alone, "only if newer"
	HasSeq bool // Item.Seq counts: a get may have it, an answer may have it alone (nothing newer); a mutable item always has

	room room
}

// room is the memory that Parse gives to slices.
type room struct {
	bytes   []byte
	nodes   [2][]Node
	values  []netip.AddrPort
	samples []ID
}

// Reset makes m an empty message. It keeps m's memory for the next Parse.
func (m *Message) Reset() { *m = Message{room: m.room} }

// Fault is why a message was refused, as it may be told to whoever sent it.
type Fault struct {
	Code int
	Text string
}

func (f *Fault) Error() string { return "krpc: " + f.Text }

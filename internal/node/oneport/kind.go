package oneport

import "bytes"

// Kind is for whom a connection or a datagram is.
type Kind uint8

// The kinds. Encrypted BitTorrent (MSE) begins with random bytes, so whatever is nothing
// else on TCP is BitTorrent; on UDP the rest is QUIC.
const (
	Undecided Kind = iota // more bytes are needed
	BitTorrent
	Overlay
	KRPC
	QUIC
)

// greeting is what a libp2p dialler sends first: a length and a line (multistream-select
// 1.0). A BitTorrent handshake begins with the same length, 19 (BEP 3).
var greeting = []byte("\x13/multistream/1.0.0\n")

// GreetingLen is how many bytes decide at the latest.
const GreetingLen = 20

// ByGreeting judges the first bytes of a TCP connection; more than GreetingLen make no
// difference.
func ByGreeting(b []byte) Kind {
	n := min(len(b), len(greeting))
	switch {
	case !bytes.Equal(b[:n], greeting[:n]):
		return BitTorrent
	case n < len(greeting):
		return Undecided
	}
	return Overlay
}

// ByDatagram judges a datagram. quicPeer tells that its sender is one to whom a QUIC
// connection stands: from such a one a packet may begin and end with any bytes, so only
// the end that every sorted KRPC message has (its last key is y, BEP 5) makes it one. From
// others a packet that begins like a dictionary can be nothing else: the packets with
// which QUIC begins have the highest bit set (RFC 9000 §17.2).
func ByDatagram(b []byte, quicPeer bool) Kind {
	if len(b) < len("d1:y1:qe") || b[0] != 'd' || b[1] < '0' || b[1] > '9' || b[len(b)-1] != 'e' {
		return QUIC
	}
	if quicPeer && !bytes.HasPrefix(b[len(b)-len("1:y1:qe"):], []byte("1:y1:")) {
		return QUIC
	}
	return KRPC
}

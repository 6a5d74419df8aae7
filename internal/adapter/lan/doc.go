// Package lan finds nodes and swarms on the networks that this machine stands in, with
// no server and no way out: by local service discovery (BEP 14: which shares somebody
// near has) and by multicast DNS (RFC 6762, RFC 6763: which nodes are near). The bytes
// are described in docs/formats/lan.md.
//
// It sends to multicast groups only, never to one address: it can't be made to answer
// for somebody else. It says nothing that would let strangers know the node again: by
// multicast DNS it is called by tags that only members of its groups can read, and that is
// how they find it. It hears those only whose address lies in a subnet of the interface
// that the packet came by. What it finds is a claim: an address at which something may
// listen, a name that only the overlay's handshake proves.
//
// What is announced is the caller's choice, who must never name a private share or one
// of a group here. In a scope without multicast the caller starts nothing. One goroutine
// owns the state (station.go, which only computes); each socket has a reader.
package lan

package ident

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"net/netip"
)

// NodeID is the identity of a node: its Ed25519 public key. The zero value is nobody.
type NodeID [ed25519.PublicKeySize]byte

// ErrNodeID says that a text or bytes name no node.
var ErrNodeID = errors.New("ident: not the name of a node")

// peerIDHead begins the bytes of a libp2p peer id of an Ed25519 key (libp2p
// specification "Peer Ids"): the identity multihash (code 0, 36 bytes) of the protobuf
// frame of the key (type 1, 32 bytes of data).
var peerIDHead = []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

// NodeIDOf is the identity that belongs to a public key; false if its length is wrong.
func NodeIDOf(pub []byte) (id NodeID, ok bool) {
	if len(pub) != len(id) {
		return NodeID{}, false
	}
	copy(id[:], pub)
	return id, true
}

// IsZero tells that the value names nobody.
func (id NodeID) IsZero() bool { return id == NodeID{} }

// PeerID is the NodeID as a libp2p peer id, in bytes.
func (id NodeID) PeerID() []byte { return append(bytes.Clone(peerIDHead), id[:]...) }

// String is the NodeID as libp2p writes a peer id: 12D3KooW….
func (id NodeID) String() string { return base58(id.PeerID()) }

// Short is enough of the name to tell the nodes of a group apart on a screen. It is no
// identity: never decide by it.
func (id NodeID) Short() string {
	s := id.String()
	return s[len(s)-8:]
}

// ParseNodeID reads what String wrote.
func ParseNodeID(s string) (NodeID, error) {
	if len(s) > maxBase58 {
		return NodeID{}, ErrNodeID
	}
	b, ok := fromBase58(s)
	if !ok {
		return NodeID{}, ErrNodeID
	}
	return ParsePeerID(b)
}

// ParsePeerID reads the bytes of a libp2p peer id; keys of other kinds are ErrNodeID.
func ParsePeerID(b []byte) (NodeID, error) {
	key, ok := bytes.CutPrefix(b, peerIDHead)
	id, fits := NodeIDOf(key)
	if !ok || !fits {
		return NodeID{}, ErrNodeID
	}
	return id, nil
}

// overlayPort stands in for a port where an address must have one.
const overlayPort = 7463

// overlayNet is where nodes stand in tables of addresses: a locally assigned range
// (RFC 4193 fd00::/8, "shoal" as its 40 random bits) that no packet is ever sent to.
var overlayNet = [6]byte{0xfd, 's', 'h', 'o', 'a', 'l'}

// OverlayNet is that range.
var OverlayNet = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 's', 'h', 'o', 'a', 'l'}), 8*len(overlayNet))

// Addr is the address under which the node stands in tables that are made for addresses:
// ten bytes of the hash of its key. Nothing listens there: it is dialled over the overlay.
func (id NodeID) Addr() netip.AddrPort {
	sum := sha256.Sum256(id[:])
	var a [16]byte
	copy(a[:], overlayNet[:])
	copy(a[len(overlayNet):], sum[:])
	return netip.AddrPortFrom(netip.AddrFrom16(a), overlayPort)
}

// IsOverlay tells that an address is one that Addr made. Such an address must never be
// told to anybody.
func IsOverlay(a netip.Addr) bool {
	b := a.As16()
	return a.Is6() && [6]byte(b[:6]) == overlayNet
}

// Package overlay carries streams between nodes that know each other by key: encrypted,
// authenticated by NodeID, through NATs, over TCP with TLS 1.3, over QUIC, or through the
// relay of another member. It is the only importer of go-libp2p, and puts its host together
// by hand (build.go), so that what the house does not use is not linked.
//
// Who is let in is one question, Config.Known, asked at each dial, after each handshake and
// at each stream. A peer that is not known is a guest: it gets no identify, no address, no
// protocol but those of HandleAnyone, for a minute; the rest of libp2p never hears of its
// connection (hall.go). Members relay for each other within a budget of bytes (relay.go),
// keep places at each other's relays (places.go) and climb from a relayed connection to a
// direct one when they can (climb.go).
//
// It decides no membership, keeps nothing on disk, opens no socket of its own but for
// probing others' addresses (AutoNAT v2), looks up no name and sends no multicast. The
// protocols beneath are libp2p's: multistream-select 1.0, TLS, yamux, QUIC, identify,
// circuit relay v2, DCUtR, AutoNAT v2; docs/decisions/0004-overlay.md tells what was taken
// and why.
package overlay

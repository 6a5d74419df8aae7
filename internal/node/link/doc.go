// Package link is one connection of the BitTorrent peer protocol, over any net.Conn,
// after its handshake: it reads messages into batches for the owner, and writes what the
// owner has gathered.
//
// A connection has one goroutine that reads. A writer runs only while there is something
// to send, so that an idle connection costs one small stack and a kilobyte.
//
// It never judges what a message means for the share: that is core/swarm's. It keeps what
// one peer can make this process hold: two batches of messages, a bounded frame, and
// chunks of a pool that all connections share (pool.go). Bandwidth limits are kept here
// too (limit.go), and what is to be remembered of its connections: rates (meter.go), who gave
// how much (ledger.go), what was told about others (pex.go), what they were refused for
// (penalties.go).
package link

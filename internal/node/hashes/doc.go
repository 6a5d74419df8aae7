// Package hashes is the hash transfer of BEP 52 for one share: it answers what peers ask
// of its hash trees, fetches the piece layers that a link does not bring, and asks for the
// leaf hashes of a piece that failed.
//
// Peers are asked that made the connection under the v2 info hash: libtorrent ends others
// for it. Until its layer is there the pieces of a v2 file cannot be judged and are not
// fetched; those of a hybrid go by their v1 hash, and if nobody can be asked the layer
// follows from the verified file itself.
//
// A Layers and a Server belong to the goroutine that owns the share. What takes time is
// handed to Source.Later or returned as work (Own).
//
// It never decides whom to ask for what: that is core/swarm/layers'. It never writes a
// file and never bans: it tells core/swarm what a peer did. The formats are in core/wire,
// the trees in core/metainfo.
package hashes

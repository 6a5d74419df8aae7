// Package intake puts the pieces of shares together from the blocks that were accepted:
// runs of blocks are hashed while they are in the cache and written in place by a pool of
// disk workers, and the last run of a piece brings the verdict, with the digests that find
// out whose fault a bad piece is.
//
// Blocks that come out of order wait in memory; when memory is short they are written
// unhashed and read back when their turn comes (Spill).
//
// One Intake belongs to one share and to the goroutine that owns it; Workers belong to
// all. A block costs neither a lock nor an allocation: a run of blocks is one Job, of
// which each open piece has at most one, and jobs and hashers are used again.
//
// It never decides which block is wanted, whom to blame or what happens after a verdict:
// that is core/swarm's and the share's. It opens no file and knows no peer.
package intake

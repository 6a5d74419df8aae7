// Package engine runs swarms over connections: it owns the sockets, the goroutines, the
// timers and the bytes; what to do is decided by internal/core/swarm.
//
// Its loop ties the rooms beside it together: porch shakes hands, link is one connection,
// intake puts pieces together, hashes speaks BEP 52's hash messages, files knows what lies
// on the disk, announce asks trackers, locate runs all other ways of finding peers and says
// who may see a share, record is what is told of one. None of them knows the engine or
// another's share: each says in a small interface what it needs, and a type here answers
// (pieceOwner, hashed, announced, behind, called). It never judges a message and never
// touches a file but through them.
//
// # Who runs
//
//   - One goroutine per active share (share.go) owns that share's swarm.T and everything
//     else about it. All others talk to it through its inbox.
//   - One goroutine per connection reads. A writer runs only while there is
//     something to send (package link), so that an idle connection costs one small stack.
//   - As many disk workers as there are cores hash and write (package intake).
//   - A share that nobody talks to is parked: a row in Engine.shares, no goroutine, no
//     metainfo in memory (registry.go).
//
// # How a block comes in
//
//  1. The reader reads up to 256 KiB from the socket into a chunk of the pool: the only
//     copy out of the kernel. Blocks stay where they lie; frames cut by the end of the
//     chunk move to the next one.
//  2. All messages of one read go to the share's loop as one batch. Two batches a
//     connection exist; a reader that has none waits, which is the back pressure.
//  3. swarm.T accepts or discards each block. An accepted block joins its piece in
//     package intake; the run of blocks that continues the piece goes to a disk worker.
//  4. The worker hashes the run while it is in the cache and writes it in place with one
//     vectored write. After the last run it knows the verdict, and the loop announces the
//     piece.
//  5. The chunk returns to the pool when the last of its blocks is written.
//
// Blocks that come out of order wait in memory while the pool has room; when it is
// pressed they are written unhashed and read back when their turn comes.
//
// # How a block goes out
//
// swarm.T hands blocks to the writer up to the credit that the writer has granted. The
// writer reads neighbouring blocks with one vectored read into one buffer, headers in
// between, writes that buffer with one call, and grants new credit.
package engine

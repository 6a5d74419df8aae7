// Package swarm is the exchange of one share: which block to ask of whom, whom to
// serve, when to give up on a peer and who sent a bad block (BEP 3, 6, 9, 21, 52, 54).
//
// It only computes. Events and the time go in, effects come out:
//
//	t := swarm.New(cfg, rng)
//	t.Step(now, &in, &out)   // in.List is read, out.List is appended to
//	t.NextWake()             // when Step wants to be called without an event
//
// It never reads a clock, touches a socket or a file, starts a goroutine or sees a
// byte of payload: a block is named by piece, begin and length, and the driver
// (internal/node/engine) keeps the bytes. Flow control is an event too: the driver
// grants each peer send credit, and no block is sent without it.
//
// # How a share is fetched
//
//   - Pieces are kept in order of rarity among the peers that are not seeds; ties are
//     broken at random, and the first few pieces are picked at random (BEP 3 and the
//     literature). A peer's suggestion (BEP 6) comes before rarity: a shoal seed
//     suggests different pieces to different peers, so that it sends each piece once
//     before it sends any twice.
//   - The number of requests outstanding at a peer follows its measured bandwidth ×
//     delay (window.go).
//   - A block has one holder, the peer that it was asked of. When nothing is left to
//     ask, a block whose holder is slow is asked of a second peer too, and the loser is
//     sent a cancel (endgame).
//   - A piece that fails its hash is fetched again; when it then passes, the blocks of
//     both rounds are compared and who sent a wrong one is banned (blame.go).
package swarm

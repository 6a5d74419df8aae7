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
//   - Pieces are kept in order of rarity among the peers that are not seeds (package
//     pieces); ties are broken at random, and the first few are picked at random (BEP 3 and
//     the literature). What is due comes first, then what a peer suggests (BEP 6).
//   - The number of requests outstanding at a peer follows its measured bandwidth ×
//     delay (window.go).
//   - A block has one holder, the peer that it was asked of. When nothing is left to
//     ask of anybody, a block whose holder is slow is asked of a second peer too, and the
//     loser is sent a cancel (endgame.go).
//   - A peer that rejects a piece is not asked for it for a while; one that is silent has
//     everything taken back and is asked for one block at a time.
//   - A piece that fails its hash is fetched again by one peer alone; when it then passes,
//     the blocks of both rounds are compared and who sent a wrong one is banned. Until they
//     are cleared, those that had a part in it fetch whole pieces alone (blame.go).
//
// # How a share is given
//
//   - While we fetch, who gives most is served, and one drawn by lot; as a seed, everybody
//     in turn (choke.go). Who is served gets blocks in turn, as far as credit and tokens go.
//   - A seed that feeds several peers suggests different pieces to each, lets requests for
//     what is already on its way to another wait for a moment, and, under a limit, refuses
//     once what others have by now: so each piece is sent once before any is sent twice
//     (source.go). Where another seed was seen it does none of that.
package swarm

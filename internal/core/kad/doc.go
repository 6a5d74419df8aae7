// Package kad is one node of a Kademlia DHT: its table, what it answers, what it stores for others and how it searches
// (BEP 5, 32, 42, 43, 44, 51). The same node serves Mainline over UDP, a group's own DHT over authenticated streams
// and a simulated network. The messages are those of package krpc.
//
// It only computes. Events and the time go in, effects come out:
//
//	t := kad.New(cfg, rng)
//	t.Step(now, &in, &out)   // in.List is read, out.List is appended to
//	t.NextWake()             // when Step wants to be called without an event
//
// It never reads a clock, touches a socket, starts a goroutine or lets the order of a map decide. What an effect points
// to holds until the next Step; what an event points to need not outlive its Step, Item and Salt apart.
//
// # Whom it believes
//
//   - A node enters the table only after it answered a query of ours. Who asks us or is named by others is a contact: it
//     waits in its bucket's cache, and is asked when there is room (table.go).
//   - A node that stays silent is asked again before it is given up, and what is old and lives is never pushed out.
//   - With Diversity, at most 2 nodes of one network (/16, or /32 of IPv6) stand in a bucket and 3 in the table, and an
//     answer that names more than 3 of one network is not believed in those.
//   - Ids that the address does not allow (BEP 42) are taken as long as there is room. With Bound an id that does not
//     belong to its address is never taken.
//
// # How it searches
//
//   - The K closest contacts known are asked, Alpha at a time, until the K closest have answered (lookup.go). A query
//     that is slower than three quarters of all is no longer waited for before the next; one that is silent for longer
//     than its node ever was, or nine tenths of all were, counts as lost and is repeated twice, last of all.
//   - Where the answers matter, d paths that share no node search on their own. A search by one path whose result is
//     far denser than the network can be is repeated by eight (estimate.go).
//
// # What it gives
//
//   - An answer to an address that nothing has proven is at most three times as long as the question, headers counted.
//     Proven is who answered a query of ours or showed a token in the last 15 minutes. Values of BEP 44, which need
//     more, come from a budget per /24 and in all (guard.go).
//   - Who asks more than five times a second is not answered for five minutes.
//   - The store is bounded; who fills it loses by it first (store.go).
package kad

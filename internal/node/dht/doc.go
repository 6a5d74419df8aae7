// Package dht drives one node of core/kad: Mainline over UDP, or a group's own DHT over
// streams. It owns the time, the queues and the table of the last run; what is asked,
// answered and believed is core/kad's, and the bytes are in docs/formats/krpc.md.
//
// One goroutine owns the kad.T:
//
//		socket → Datagram → gate → inbox ─┐                            ┌→ outbox → Config.Send → socket
//		                    callers ──────┴→ turn: kad.T.Step, timer ──┴→ what searches found → callers
//
//	  - Datagram never waits. A source that sends more than any node does is dropped before
//	    its bytes are copied (gate.go); what comes faster than it can be worked off is
//	    dropped and counted (queue.go).
//	  - All that came in since the last turn is one Step.
//	  - What is to be sent waits in a bounded queue of its own, so that a slow socket or
//	    stream never holds up the owner.
//
// The Locator announces the shares of a node, one a second at most, and looks for peers of
// those that want some (announce.go, locator.go).
//
// The package opens no sockets, resolves no names and touches no files: Config has
// functions for that. It never judges an address: kad.Config.Allow does.
package dht

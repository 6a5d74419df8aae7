// Package sim is what simulated networks are made of: a queue of events in virtual time, and the chances that decide
// delays and sessions. Whoever simulates keeps the nodes and runs the loop; the tests of this package do it for ten
// thousand nodes of the DHT (internal/core/kad).
//
// It never reads a clock and has no randomness of its own: the same seed gives the same run.
package sim

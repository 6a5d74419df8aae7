// Package pieces keeps sets of pieces, and the order of their rarity: what a swarm looks
// at whenever it chooses what to ask for. Both are built for shares of 2^21 pieces: no
// change of one piece costs more than a few steps. The format of a set on the wire is the
// bitfield of BEP 3.
//
// It knows neither peers nor blocks, and allocates nothing once it is made.
package pieces

package link

import "net/netip"

// Status is one connected peer of one share at one moment, for people.
type Status struct {
	Addr     netip.AddrPort
	Client   string
	Incoming bool
	Have     float64 // part of the share that it has, 0 to 1
	In, Out  int64   // bytes of blocks
	InRate   int64   // bytes a second
	OutRate  int64
	Flags    string // see Flags
	Pending  int    // requests outstanding
	Queued   int    // requests of theirs that wait to be served
}

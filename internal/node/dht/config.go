package dht

import (
	"context"
	"net/netip"
	"time"

	"shoal/internal/core/kad"
)

// Config is what a DHT is made with. Send is needed, all else may be left out.
type Config struct {
	Kad kad.Config // ID, if zero, is that of Saved

	// Send sends one datagram. It is called by one goroutine at a time, may wait a little
	// and must not keep b: while it waits the next datagrams queue up, and are dropped when
	// they are too many.
	Send func(to netip.AddrPort, b []byte)

	Saved State       // of an earlier run
	Save  func(State) // keeps the state for the next; called by one goroutine at a time, last before Run returns

	// Bootstrap are host:port of nodes to begin with. They are looked up by Resolve, and only
	// while fewer nodes are known than a bucket holds. Without Resolve only those count that
	// are an address.
	Bootstrap []string
	Resolve   func(ctx context.Context, hostport string) ([]netip.AddrPort, error)

	// Address is told where most nodes see us, whenever that changes. It is called in the
	// goroutine that owns the node and must not wait.
	Address func(netip.AddrPort)

	Seed [32]byte // of the random choices; zero: from the system
}

// MaxSaved is how many nodes of a family are kept for the next run.
const MaxSaved = 512

// Times of the driver.
const (
	saveEvery   = 5 * time.Minute
	bootPatient = 5 * time.Second  // that the nodes of an earlier run have to answer before names are looked up
	bootFirst   = 15 * time.Second // between two rounds of looking up names, doubled up to
	bootAlone   = 5 * time.Minute  // this while nobody is known
	bootMost    = time.Hour        // or this while few are
	bootLook    = time.Minute      // how often that is judged once enough are known
	resolveTime = 20 * time.Second // for one name
)

// Bounds of what waits.
const (
	maxBoot     = 32   // bootstrap names, and addresses taken of each
	inboxCount  = 1024 // datagrams
	inboxBytes  = 512 << 10
	outboxCount = 1024
	outboxBytes = 512 << 10
	maxPosted   = 4096 // what callers want
	maxFound    = 4096 // addresses that a caller has not taken yet
	maxItems    = 64   // items, likewise
	maxSaveOld  = 64   // nodes of the state before that are kept beside fewer new ones
)

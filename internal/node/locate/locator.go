package locate

import (
	"context"
	"net/netip"

	"shoal/internal/core/group"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/candidates"
)

// Locator is one way to find candidates for shares, and to be found. All run in parallel.
// Its methods are called from any goroutine.
type Locator interface {
	Kind
	// Offer says that this share is here, or again that it has changed: it is announced as
	// long as it is offered. It never blocks.
	Offer(o Offer)
	// Withdraw says that the share of that ID is here no more, or is paused. It never blocks.
	Withdraw(id string)
	// Seek looks for peers of a share until ctx ends. What it finds it tells from any
	// goroutine, and never after it has returned. Returning before ctx ends, it is not
	// asked again for a while.
	Seek(ctx context.Context, o Offer, found func([]netip.AddrPort))
	// Cost is what was spent so far, in all.
	Cost() Cost
}

// Kind is what a Locator is.
type Kind interface {
	// Name is a fixed word: "mainline", "members", "group", "lan".
	Name() string
	// Source is what is noted of the candidates that come from here.
	Source() candidates.Source
	// Open tells that strangers learn what is offered or sought here. Such a Locator is
	// never told of a private share (BEP 27) or of one of groups.
	Open() bool
}

// Offer is what a Locator is told of a share.
type Offer struct {
	ID       string
	Hash     metainfo.InfoHash
	Groups   []group.ID // who may see it; none: everybody
	Complete bool       // all that is wanted of it is here
	Wanted   bool       // it runs and wants pieces, or its description
}

// Cost is what a Locator spent.
type Cost struct {
	Questions int64 // asked of others
	Bytes     int64 // sent and received, headers of the carrier apart
}

// Yield is what the candidates of one source brought.
type Yield struct {
	Source    candidates.Source
	Found     int64 // addresses that were new and may be dialled
	Dialled   int64
	Connected int64
	Bytes     int64 // of blocks that were accepted
}

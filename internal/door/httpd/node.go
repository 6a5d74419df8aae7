// Package httpd is the HTTP door of a node: JSON calls, an event stream,
// metrics and health, beneath /api/v1, described by the OpenAPI document that
// it serves itself (docs/formats/api.md).
//
// It declares what it needs of a node as the small interfaces of this file and
// knows nothing else of it. Two kinds of listener exist: the home's own socket,
// whose folder only the owner can enter, and loopback TCP, on which every call
// needs the bearer token and every request's Host and Origin are judged.
//
// It never answers another origin, never changes anything on GET, never listens
// on an address that is not loopback, and never holds more for a slow client
// than its bounded queue.
package httpd

import (
	"context"

	"shoal/internal/door/api"
)

// Node is all that the door needs of a node. One type may implement every part. The calls
// of parts that may be nil exist, and are described, only where those are given.
type Node struct {
	Shares  Shares
	Control Control
	Limits  Limits
	Status  Status
	Events  Events

	Groups   Groups   // may be nil
	Tickets  Tickets  // may be nil; needs Groups
	Identity Identity // may be nil
	Reach    Reach    // may be nil; needs Groups
}

// Shares looks at shares and brings new ones in. An id is a full info hash as
// api.Share.InfoHash has it. Errors are *api.Error, or such as api.KindOf
// understands; an unknown id is api.NotFound. All methods are safe for
// concurrent use.
type Shares interface {
	// List is every share, sorted by name, then by info hash. Result and the
	// parts that only Detail has are left out.
	List(ctx context.Context) ([]api.Share, error)
	// Share is one share at this moment; it is asked often and must be cheap.
	// Result is set once a fetched share is complete.
	Share(ctx context.Context, id string) (api.Share, error)
	// Detail is all that is known of one share.
	Detail(ctx context.Context, id string) (api.Detail, error)
	// Add begins to fetch a share and returns at once, for a URL after the
	// .torrent has come. What is there already is verified and adopted; the same
	// share added again with the same folder is returned as it is, its new
	// peers and trackers are taken up, and if it was paused it goes on.
	Add(ctx context.Context, r api.AddRequest) (api.Share, error)
	// Create publishes a path in place and returns when it is hashed and
	// offered. progress (never nil) may be called from any goroutine, one call
	// at a time. The end of ctx interrupts. Groups of r are full ids, and nothing is left
	// to its default but the piece length.
	Create(ctx context.Context, r api.CreateRequest, progress func(api.Progress)) (api.Created, error)
}

// Control changes a share that the node has.
type Control interface {
	// Change pauses, resumes, and so on; it returns the share as it is then.
	Change(ctx context.Context, id string, c api.ShareChange) (api.Share, error)
	// Remove forgets a share; with data it also deletes what was fetched. With
	// data, a share whose origin is api.OriginShare is api.Refused and stays.
	Remove(ctx context.Context, id string, data bool) (api.Removed, error)
	// Verify hashes everything again and returns when that is done.
	Verify(ctx context.Context, id string, progress func(api.Progress)) (api.Verified, error)
	// Torrent is the share's .torrent; api.Unavailable while it is not known.
	Torrent(ctx context.Context, id string) ([]byte, error)
}

// Limits reads and sets bandwidth limits; the empty id is the whole node. They
// hold at once and are kept over restarts.
type Limits interface {
	Limits(ctx context.Context, id string) (api.Limits, error)
	SetLimits(ctx context.Context, id string, c api.LimitChange) (api.Limits, error)
}

// Status tells of the node as a whole. Every method is cheap.
type Status interface {
	// Status need not fill API, Version, PID and Offline: the door does.
	Status(ctx context.Context) api.Status
	// Health is OK unless something keeps the node from its work.
	Health(ctx context.Context) api.Health
	// Metrics is a snapshot of counters and gauges, in a fixed order.
	Metrics(ctx context.Context) []api.Metric
}

// Events is what happens in the node, as it happens: api.ShareEvent on every
// change of state, api.Done, api.RemovedEvent, api.Changed, api.Penalised,
// api.TrackerEvent, api.Notice, and with Groups api.GroupEvent and api.MemberEvent. Progress is not published: the door makes it
// from Share for those who listen. An *api.Bus is an Events.
type Events interface {
	Subscribe(queue int) *api.Subscription
}

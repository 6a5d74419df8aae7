package httpd

import (
	"context"

	"shoal/internal/door/api"
)

// Reach tells how others are reached, and what stands in the way.
type Reach interface {
	// Peers are the members of this node's groups, those that are connected first, then by
	// name, and the connected peers of all shares, by the share's name. It is cheap.
	Peers(ctx context.Context) (api.Peers, error)
	// Connect connects now. r.Node is a full NodeID of another member or "", r.Address is
	// host:port or "", one of them is given. Without a node, members are tried at the
	// address, and a node of the public DHT is asked there. Where nobody answers in time
	// the error is api.Unreachable and says why, with one thing to do. The end of ctx
	// interrupts.
	Connect(ctx context.Context, r api.ConnectRequest) (api.Connection, error)
	// Doctor looks at everything that may stand in the way, in a fixed order, within 20 s;
	// a node that has only just begun waits that long for its network.
	Doctor(ctx context.Context) ([]api.Finding, error)
}

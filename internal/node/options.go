package node

import (
	"log/slog"

	"shoal/internal/door/api"
)

// Options are what a node is started with.
type Options struct {
	Home   *Home  // opened and locked
	Config Config // the file, with the flags applied
	Bind   Bind   // read from Config.Network.Bind

	// Limits of the node for this run: neither the file nor what `shoal limit` set holds
	// where one is given, and it is not remembered.
	Limits api.LimitChange

	// Offline looks after the catalog only: nothing is listened to, dialled or
	// announced. It serves commands such as `ls` when no node runs.
	Offline bool
	// PortStrict makes a taken port an error; else any free one is used instead.
	PortStrict bool

	Log *slog.Logger
}

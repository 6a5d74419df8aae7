package overlay

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/gologshim"
)

// libp2p's packages keep the handler that they find at their first line, so that one is
// ours from the start and passes on to whatever log was given last.
func init() {
	gologshim.SetDefaultHandler(libp2pLog{})
	// quic-go writes to standard error when a socket's buffers are smaller than it likes.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
}

// logTo is where libp2p's lines go; nil: nowhere.
var logTo atomic.Pointer[slog.Logger]

// libp2pLog passes lines on, none higher than debug: what it warns of is a peer's doing as a
// rule, no business of the owner's, and it names addresses.
type libp2pLog struct{ attrs []slog.Attr }

func lower(l slog.Level) slog.Level { return min(l, slog.LevelInfo) - 4 }

// Enabled is asked before each line.
func (libp2pLog) Enabled(ctx context.Context, l slog.Level) bool {
	to := logTo.Load()
	return to != nil && to.Handler().Enabled(ctx, lower(l))
}

// Handle writes a line.
func (g libp2pLog) Handle(ctx context.Context, r slog.Record) error {
	to := logTo.Load()
	if to == nil {
		return nil
	}
	line := slog.NewRecord(r.Time, lower(r.Level), "libp2p: "+r.Message, 0)
	line.AddAttrs(g.attrs...)
	r.Attrs(func(a slog.Attr) bool { line.AddAttrs(a); return true })
	return to.Handler().Handle(ctx, line)
}

// WithAttrs keeps attributes for all lines.
func (g libp2pLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libp2pLog{append(g.attrs[:len(g.attrs):len(g.attrs)], attrs...)}
}

// WithGroup is not used by libp2p.
func (g libp2pLog) WithGroup(string) slog.Handler { return g }

package cli

import (
	"context"
	"time"

	"shoal/internal/door/api"
)

// How long a command waits for a node that is just starting or stopping, and for
// its own node to flush.
const (
	waitForNode = 5 * time.Second
	askEvery    = 100 * time.Millisecond
	closeWithin = 10 * time.Second
)

// session is a node to speak to: another process's, or one that this command
// runs.
type session struct {
	client *api.Client
	node   Node // nil: another process's
}

// mine says whether the node ends with this command.
func (s *session) mine() bool { return s.node != nil }

// with runs a command with a node, and ends the node if it is its own.
func (a *app) with(ctx context.Context, o StartOptions, run func(context.Context, *session) error) error {
	s, err := a.open(ctx, o)
	if err != nil {
		return err
	}
	err = run(ctx, s)
	s.client.Close()
	if s.node == nil {
		return err
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if cerr := s.node.Close(end); cerr != nil && err == nil {
		return cerr
	}
	return err
}

// offline runs a command that needs the catalog only.
func (a *app) offline(ctx context.Context, run func(context.Context, *session) error) error {
	return a.with(ctx, StartOptions{Offline: true, Quiet: true}, run)
}

// open finds the node that runs for the home, or runs one. Between the two lies a
// moment in which another process holds the home and does not answer yet (or any
// more), so both are tried for a while.
func (a *app) open(ctx context.Context, o StartOptions) (*session, error) {
	o.Home, o.Scope, o.Bind = a.global.home, a.global.scope, a.global.bind
	o.Port, o.APIPort = a.global.port, a.global.apiPort
	o.PortStrict = o.PortStrict || o.Port > 0
	limit := time.NewTimer(waitForNode)
	defer limit.Stop()
	ask := time.NewTicker(askEvery)
	defer ask.Stop()
	for {
		c, err := a.Program.Connect(ctx, o.Home)
		if err != nil {
			return nil, err
		}
		if c != nil {
			s := &session{client: c}
			return s, a.sameScope(ctx, s)
		}
		n, err := a.Program.Start(ctx, o)
		if err == nil {
			return &session{client: n.Client(), node: n}, nil
		}
		if api.KindOf(err) != api.Locked {
			return nil, err
		}
		select {
		case <-ask.C:
		case <-limit.C:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// sameScope refuses to use a node that reaches further than the person asked.
func (a *app) sameScope(ctx context.Context, s *session) error {
	if a.global.scope == "" {
		return nil
	}
	st, err := s.client.Status(ctx)
	if err != nil {
		return err
	}
	if st.Scope != a.global.scope {
		return api.Errorf(api.Refused, a.global.scope, "the node that runs for this home (process %d) has scope %s", st.PID, st.Scope).
			Try("stop it, leave --scope out, or choose another --home")
	}
	return nil
}

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
	var s *session
	answered := false
	err := a.whileLocked(ctx, func() error {
		c, err := a.Program.Connect(ctx, o.Home)
		if err != nil {
			return err
		}
		if answered = c != nil; answered {
			s = &session{client: c}
			if err := a.suits(ctx, c, o); err != nil {
				c.Close()
				return err
			}
			return nil
		}
		n, err := a.Program.Start(ctx, o)
		if err == nil {
			s = &session{client: n.Client(), node: n}
		}
		return err
	})
	if !answered {
		err = silent(err)
	}
	return s, err
}

// silent says of a home that is held that who holds it does not answer.
func silent(err error) error {
	if api.KindOf(err) != api.Locked {
		return err
	}
	e := *api.AsError(err)
	e.Reason += ", and it does not answer"
	return e.Try("it may be starting or ending: try again in a moment, or stop that process")
}

// whileLocked tries again, for a while, as long as another process holds the home.
func (a *app) whileLocked(ctx context.Context, try func() error) error {
	limit := time.NewTimer(waitForNode)
	defer limit.Stop()
	ask := time.NewTicker(askEvery)
	defer ask.Stop()
	for {
		err := try()
		if err == nil || api.KindOf(err) != api.Locked {
			return err
		}
		select {
		case <-ask.C:
		case <-limit.C:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// suits says why another process's node is not the one to use: it reaches further than
// the person asked, or it is the node of a command that only looks after the home (ls,
// verify), which reaches nobody and ends with that command.
func (a *app) suits(ctx context.Context, c *api.Client, o StartOptions) error {
	soon, cancel := context.WithTimeout(ctx, waitForNode)
	defer cancel()
	st, err := c.Status(soon)
	switch {
	case err != nil && soon.Err() != nil && ctx.Err() == nil: // it is suspended, or its disk hangs
		return api.Errorf(api.Unavailable, a.global.home, "the node that runs for this home does not answer").
			Try("try again in a moment, or stop its process")
	case api.KindOf(err) == api.Unavailable:
		return api.Errorf(api.Locked, a.global.home, "the node that runs for this home went away: %w", err)
	case err != nil:
		return err
	case st.Offline && !o.Offline:
		return api.Errorf(api.Locked, st.Home, "another command looks after this home (process %d)", st.PID).Try("try again when it has ended")
	case st.Scope != a.global.scope && a.global.scope != "":
		return api.Errorf(api.Refused, a.global.scope, "the node that runs for this home (process %d) has scope %s", st.PID, st.Scope).
			Try("stop it, leave --scope out, or choose another --home")
	}
	return nil
}

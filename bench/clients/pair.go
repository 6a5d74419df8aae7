//go:build linux

package clients

import (
	"context"
	"errors"
	"fmt"
)

// Pair is one transfer from one node to another.
type Pair struct {
	Seed, Leech       *Client
	SeedJob, LeechJob Job
	// Tracker is the one that the torrent names; nil when it names none.
	Tracker *Tracker
	// Ready is called when the seed is ready and the leech is about to start; with a
	// leech that must be dialled, when the leech is ready and the seed about to start; with
	// two that had to be introduced, when both run and the leech is about to fetch.
	Ready func(running ...*Node)
}

// errNoWay says that neither side can find the other.
var errNoWay = errors.New("neither side can dial the other")

// Start starts both sides, so that they find each other: the leech is given the
// seed's address where it can dial, else the tracker tells it, else the seed dials.
func (p Pair) Start(ctx context.Context, l *Lab) (seed, leech *Node, err error) {
	p.SeedJob.Seed = true
	if p.Leech.pair != nil {
		return p.Leech.pair(ctx, l, p)
	}
	private := !p.Leech.DialsLoopback && !p.Seed.DialsLoopback
	if private {
		p.SeedJob.Host, p.LeechJob.Host = l.PrivateHost(), l.PrivateHost()
		if p.LeechJob.Host == "" {
			return nil, nil, fmt.Errorf("clients: %s → %s: %w outside a namespace", p.Seed.Name, p.Leech.Name, errNoWay)
		}
	}
	switch {
	case p.Leech.Dials:
	case p.Tracker != nil && (p.Leech.DialsLoopback || private):
	case p.Seed.Dials || p.Tracker != nil && p.Seed.DialsLoopback:
		return p.startLeechFirst(ctx, l)
	default:
		return nil, nil, fmt.Errorf("clients: %s → %s: %w without a tracker", p.Seed.Name, p.Leech.Name, errNoWay)
	}
	if seed, err = p.Seed.Start(ctx, l, p.SeedJob); err != nil {
		return nil, nil, err
	}
	if p.Leech.Dials {
		p.LeechJob.Peers = append(p.LeechJob.Peers, seed.Addr())
	} else if err := p.announced(ctx, seed); err != nil {
		return seed, nil, err
	}
	p.ready(seed)
	leech, err = p.Leech.Start(ctx, l, p.LeechJob)
	return seed, leech, err
}

func (p Pair) ready(running ...*Node) {
	if p.Ready != nil {
		p.Ready(running...)
	}
}

// startLeechFirst is for a leech that must be dialled.
func (p Pair) startLeechFirst(ctx context.Context, l *Lab) (seed, leech *Node, err error) {
	if leech, err = p.Leech.Start(ctx, l, p.LeechJob); err != nil {
		return nil, nil, err
	}
	if p.Seed.Dials {
		p.SeedJob.Peers = append(p.SeedJob.Peers, leech.Addr())
	} else if err := p.announced(ctx, leech); err != nil {
		return nil, leech, err
	}
	p.ready(leech)
	seed, err = p.Seed.Start(ctx, l, p.SeedJob)
	return seed, leech, err
}

// announced waits until the tracker knows a node.
func (p Pair) announced(ctx context.Context, n *Node) error {
	err := p.Tracker.Await(ctx, func(a Announce) bool { return n.Addr() == a.Peer.String() })
	if err != nil {
		return fmt.Errorf("%s did not announce itself: %w: %s", n.Client, err, n.Process.Tail(600))
	}
	return nil
}

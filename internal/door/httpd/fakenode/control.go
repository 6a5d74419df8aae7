package fakenode

import (
	"context"
	"os"

	"shoal/internal/door/api"
)

// Change implements httpd.Control.
func (n *Node) Change(_ context.Context, id string, c api.ShareChange) (api.Share, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.get(id)
	if err != nil {
		return api.Share{}, err
	}
	if c.Paused != nil {
		switch {
		case *c.Paused:
			s.State = api.StatePaused
		case s.BytesDone == s.BytesWanted && s.Bytes > 0:
			s.State = api.StateSeeding
		default:
			s.State = api.StateDownloading
		}
		n.publish(s)
	}
	n.peers[id] = append(n.peers[id], c.AddPeers...)
	return *s, nil
}

// Remove implements httpd.Control.
func (n *Node) Remove(_ context.Context, id string, data bool) (api.Removed, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.get(id)
	if err != nil {
		return api.Removed{}, err
	}
	if data && s.Origin == api.OriginShare {
		return api.Removed{}, api.Errorf(api.Refused, s.Name, "its files are the originals, which are never deleted").Try("leave --data out")
	}
	if data {
		if err := os.RemoveAll(s.Path); err != nil {
			return api.Removed{}, err
		}
	}
	delete(n.shares, id)
	n.Bus.Publish(&api.RemovedEvent{Head: api.Head{Event: api.EventRemoved, InfoHash: id, Time: n.Now()}, Name: s.Name})
	return api.Removed{InfoHash: id, Name: s.Name, Path: s.Path, Data: data}, nil
}

// Verify implements httpd.Control: a share whose path is gone has nothing good.
func (n *Node) Verify(_ context.Context, id string, progress func(api.Progress)) (api.Verified, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.get(id)
	if err != nil {
		return api.Verified{}, err
	}
	for done := int64(0); done < s.Bytes; done += PieceLength {
		progress(api.Progress{Done: done, Total: s.Bytes})
	}
	v := api.Verified{InfoHash: id, Name: s.Name, Pieces: s.Pieces, Good: s.PiecesDone, Bytes: s.BytesDone, Seconds: 0.5}
	if _, err := os.Stat(s.Path); err != nil {
		v.Good, v.Missing, v.BadFiles = 0, s.Pieces, []string{s.Name}
	}
	return v, nil
}

// Torrent implements httpd.Control with the .torrent of something else.
func (n *Node) Torrent(_ context.Context, id string) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.get(id)
	if err != nil {
		return nil, err
	}
	if s.State == api.StateMetadata {
		return nil, api.Errorf(api.Unavailable, s.Name, "its description has not come yet")
	}
	return []byte("d4:infod6:lengthi5e4:name3:foo12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxee"), nil
}

// Limits implements httpd.Limits.
func (n *Node) Limits(_ context.Context, id string) (api.Limits, error) {
	return n.SetLimits(context.Background(), id, api.LimitChange{})
}

// SetLimits implements httpd.Limits.
func (n *Node) SetLimits(_ context.Context, id string, c api.LimitChange) (api.Limits, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id != "" {
		if _, err := n.get(id); err != nil {
			return api.Limits{}, err
		}
	}
	l := n.limits[id]
	if c.Up != nil {
		l.Up = *c.Up
	}
	if c.Down != nil {
		l.Down = *c.Down
	}
	n.limits[id] = l
	return l, nil
}

// Status implements httpd.Status.
func (n *Node) Status(context.Context) api.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	st := api.Status{NodeID: "12D3KooWFake", Home: "home", Scope: "loopback", Listen: []string{"127.0.0.1:7463"}, Started: n.Now(),
		Shares: len(n.shares), Limits: n.limits[""], DiskFree: 5_000_000_000, Memory: 12_000_000}
	for _, s := range n.shares {
		switch s.State {
		case api.StateSeeding:
			st.Seeding++
		case api.StatePaused:
			st.Paused++
		case api.StateFailed:
			st.Failed++
		default:
			st.Downloading++
		}
	}
	n.reach(&st)
	return st
}

// Health implements httpd.Status.
func (n *Node) Health(context.Context) api.Health {
	return api.Health{OK: len(n.Sick) == 0, Reasons: n.Sick}
}

// Metrics implements httpd.Status.
func (n *Node) Metrics(context.Context) []api.Metric {
	return []api.Metric{{Name: "shoal_penalties_total", Help: "Peers that did wrong.", Kind: api.Counter, Samples: []api.Sample{
		{Labels: [][2]string{{"reason", "bad_block"}, {"action", "ban"}}, Value: 3}}}}
}

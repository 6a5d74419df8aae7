package node

import (
	"context"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/door/api"
	"shoal/internal/node/engine"
)

// Change implements httpd.Control.
func (n *Node) Change(_ context.Context, id string, c api.ShareChange) (api.Share, error) {
	if err := checkPeers(c.AddPeers); err != nil {
		return api.Share{}, err
	}
	st, err := n.engine.Status(id)
	if err == nil && c.Paused != nil {
		st, err = n.engine.SetPaused(id, *c.Paused)
	}
	if err == nil && c.Sequential != nil {
		st, err = n.engine.SetSequential(id, *c.Sequential)
	}
	if err == nil && len(c.AddPeers) > 0 {
		st, err = n.engine.AddPeers(id, c.AddPeers)
	}
	if err != nil {
		return api.Share{}, Problem(err)
	}
	return n.shareOf(&st), nil
}

// Remove implements httpd.Control.
func (n *Node) Remove(_ context.Context, id string, data bool) (api.Removed, error) {
	had, _ := n.engine.Status(id) // an error: there is nothing to remove
	st, kept, err := n.engine.Remove(id, data)
	if err != nil {
		return api.Removed{}, Problem(err)
	}
	if len(kept) > 0 {
		n.bus.Publish(&api.Notice{Head: api.Head{Event: api.EventNotice, InfoHash: st.ID, Time: time.Now()}, Code: "kept",
			Text: "these files were not written by this node, or were changed since, and stay: " + strings.Join(kept, ", ")})
	}
	r := api.Removed{InfoHash: st.ID, Name: st.Name, Path: st.Path, Data: data}
	if !data && !st.InPlace && !st.Complete {
		r.Left = had.Done
	}
	return r, nil
}

// Verify implements httpd.Control.
func (n *Node) Verify(ctx context.Context, id string, progress func(api.Progress)) (api.Verified, error) {
	st, err := n.engine.Status(id)
	if err != nil {
		return api.Verified{}, Problem(err)
	}
	v, err := n.engine.Verify(ctx, id, func(done, total int64) { progress(api.Progress{Done: done, Total: total}) })
	if err != nil {
		return api.Verified{}, Problem(err)
	}
	out := api.Verified{InfoHash: id, Name: st.Name, Pieces: v.Pieces, Good: v.Good, Bad: v.Bad, Missing: v.Missing, Bytes: v.Bytes, Seconds: v.Seconds}
	out.BadFiles = v.BadFiles[:min(len(v.BadFiles), 100)]
	return out, nil
}

// Torrent implements httpd.Control.
func (n *Node) Torrent(_ context.Context, id string) ([]byte, error) {
	b, err := n.engine.Torrent(id)
	if err != nil {
		return nil, Problem(err)
	}
	return b, nil
}

// Status implements httpd.Status.
func (n *Node) Status(context.Context) api.Status {
	s := api.Status{NodeID: n.id, Home: n.opts.Home.Dir, Scope: n.opts.Config.Network.Scope.String(), Listen: n.Listening(),
		Started: n.started, Peers: n.engine.Conns(), Memory: resident()}
	for _, st := range n.engine.List() {
		s.Shares++
		switch st.State {
		case engine.Seeding:
			s.Seeding++
		case engine.Paused:
			s.Paused++
		case engine.Failed:
			s.Failed++
		default:
			s.Downloading++
		}
		s.DownRate += api.Rate(st.DownRate)
		s.UpRate += api.Rate(st.UpRate)
	}
	s.Downloaded, s.Uploaded = n.engine.Payload()
	up, down := n.engine.Limits()
	s.Limits = api.Limits{Up: api.Rate(up), Down: api.Rate(down)}
	s.DiskFree, _, _ = store.Free(n.opts.Home.Dir)
	n.presence(&s)
	return s
}

// resident is the memory of this process that is in use, in bytes; 0 where unknown.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.Sys - m.HeapReleased)
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// Health implements httpd.Status.
func (n *Node) Health(context.Context) api.Health {
	h := api.Health{OK: true, Reasons: []string{}}
	for _, st := range n.engine.List() {
		if s := n.shareOf(&st); s.State == api.StateFailed && len(h.Reasons) < 100 {
			h.Reasons = append(h.Reasons, api.Safe(s.Name)+": "+s.Problem)
		}
	}
	h.OK = len(h.Reasons) == 0
	return h
}

// Metrics implements httpd.Status.
func (n *Node) Metrics(ctx context.Context) []api.Metric {
	s := n.Status(ctx)
	gauge := func(name, help string, v float64) api.Metric {
		return api.Metric{Name: name, Help: help, Kind: api.Gauge, Samples: []api.Sample{{Value: v}}}
	}
	counter := func(name, help string, v float64) api.Metric {
		return api.Metric{Name: name, Help: help, Kind: api.Counter, Samples: []api.Sample{{Value: v}}}
	}
	list := []api.Metric{
		gauge("shoal_resident_bytes", "Resident memory.", float64(s.Memory)),
		gauge("shoal_goroutines", "Goroutines.", float64(runtime.NumGoroutine())),
		gauge("shoal_open_files", "File descriptors in use; 0 where unknown.", float64(openFiles())),
		gauge("shoal_peers", "Connected peers.", float64(s.Peers)),
		gauge("shoal_shares", "Shares.", float64(s.Shares)),
		counter("shoal_received_bytes_total", "Payload received.", float64(s.Downloaded)),
		counter("shoal_sent_bytes_total", "Payload sent.", float64(s.Uploaded)),
	}
	penalties := api.Metric{Name: "shoal_penalties_total", Help: "Refusals of peers.", Kind: api.Counter}
	reasons := n.engine.Penalties()
	keys := make([]string, 0, len(reasons))
	for k := range reasons {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		reason, action, _ := strings.Cut(k, "/")
		penalties.Samples = append(penalties.Samples, api.Sample{Labels: [][2]string{{"reason", reason}, {"action", action}}, Value: float64(reasons[k])})
	}
	return append(list, penalties)
}

func openFiles() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(d)
}

// event passes on what the engine tells.
func (n *Node) event(v engine.Event) {
	h := api.Head{InfoHash: v.ID, Time: time.Now()}
	switch v.Kind {
	case engine.EventAdded, engine.EventState:
		h.Event = api.EventShare
		n.bus.Publish(&api.ShareEvent{Head: h, Share: n.shareOf(v.Status)})
	case engine.EventDone:
		d := doneOf(v.Status)
		d.Time = h.Time
		n.bus.Publish(d)
	case engine.EventRemoved:
		h.Event = api.EventRemoved
		n.bus.Publish(&api.RemovedEvent{Head: h, Name: v.Name})
	case engine.EventChanged:
		h.Event = api.EventChanged
		n.bus.Publish(&api.Changed{Head: h, Name: v.Name, Files: v.Paths[:min(len(v.Paths), 100)], Count: len(v.Paths)})
	case engine.EventPenalised:
		h.Event = api.EventPenalised
		n.bus.Publish(&api.Penalised{Head: h, Reason: v.Reason, Peer: v.Peer.String(), Action: v.Action})
	case engine.EventTracker:
		h.Event = api.EventTracker
		n.bus.Publish(&api.TrackerEvent{Head: h, Tracker: trackerOf(v.Tracker), Peers: v.Tracker.Peers, OK: v.Tracker.OK})
	case engine.EventNotice:
		h.Event = api.EventNotice
		n.bus.Publish(&api.Notice{Head: h, Code: v.Code, Text: v.Text})
	}
}

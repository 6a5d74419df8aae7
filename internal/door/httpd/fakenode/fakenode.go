// Package fakenode is a node in memory for tests of the doors: it implements
// every interface of httpd.Node without an engine, a network or a clock of its
// own. What it says is as a node would say it; how far a download is moves one
// step each time somebody looks, so tests need not wait.
//
// It never verifies anything and is in no program: only tests import it.
package fakenode

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/httpd"
)

// PieceLength is that of every share a fake publishes.
const PieceLength = 16 << 10

// World is what several fakes share: who has published what.
type World struct {
	mu    sync.Mutex
	paths map[string]api.Share // by info hash
}

// Node is one fake node.
type Node struct {
	World *World
	Bus   api.Bus
	Now   func() time.Time
	Sick  []string // what Health complains of

	mu     sync.Mutex
	shares map[string]*api.Share
	alias  map[string]string // ids that links had before their description came
	limits map[string]api.Limits
	peers  map[string][]string
	groups []*api.GroupDetail
}

// New is a node that knows nothing but what w has published.
func New(w *World) *Node {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	return &Node{World: w, Now: func() time.Time { return at },
		shares: map[string]*api.Share{}, alias: map[string]string{}, limits: map[string]api.Limits{}, peers: map[string][]string{}}
}

// Door is the node as the HTTP door wants it.
func (n *Node) Door() httpd.Node {
	return httpd.Node{Shares: n, Control: n, Limits: n, Status: n, Events: &n.Bus, Groups: n, Tickets: n, Identity: n, Reach: n}
}

// List implements httpd.Shares.
func (n *Node) List(context.Context) ([]api.Share, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []api.Share
	for _, s := range n.shares {
		c := *s
		c.Result = nil
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name+out[i].InfoHash < out[j].Name+out[j].InfoHash })
	return out, nil
}

// Share implements httpd.Shares; each look moves a download on by a quarter.
func (n *Node) Share(_ context.Context, id string) (api.Share, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.get(id)
	if err != nil {
		return api.Share{}, err
	}
	n.step(s)
	return *s, nil
}

// step is the life of a download: its description comes, then its data.
func (n *Node) step(s *api.Share) {
	if s.Origin != api.OriginGet || strings.HasPrefix(s.Name, "nobody") {
		return
	}
	switch s.State {
	case api.StateMetadata:
		if s.Candidates++; strings.HasPrefix(s.Name, "later") && s.Candidates < 4 {
			return // its description takes a while
		}
		s.State = api.StateDownloading
		n.World.mu.Lock()
		if from, ok := n.World.paths[s.InfoHash]; ok {
			s.Bytes, s.Files, s.Pieces, s.Format = from.Bytes, from.Files, from.Pieces, from.Format
			s.InfoHashV1, s.InfoHashV2, s.Link = from.InfoHashV1, from.InfoHashV2, from.Link
			n.rename(s, from.InfoHash)
		} else {
			s.Bytes, s.Files, s.Pieces, s.Format = 4*PieceLength, 1, 4, "v1"
		}
		n.World.mu.Unlock()
		s.BytesWanted = s.Bytes
		n.publish(s)
	case api.StateDownloading:
		s.Peers, s.Seeds, s.Candidates, s.DownRate = 1, 1, 1, 2_000_000
		if strings.HasPrefix(s.Name, "slow") {
			return
		}
		s.BytesDone = min(s.Bytes, s.BytesDone+(s.Bytes+3)/4)
		s.PiecesDone = int((s.BytesDone * int64(s.Pieces)) / max(s.Bytes, 1))
		s.Downloaded = s.BytesDone
		s.ETA = float64(s.Bytes-s.BytesDone) / 2_000_000
		if s.BytesDone == s.Bytes {
			n.finish(s)
		}
	}
}

// rename gives a share the id that is known when its description has come.
func (n *Node) rename(s *api.Share, id string) {
	if s.InfoHash != id {
		delete(n.shares, s.InfoHash)
		n.alias[s.InfoHash], n.shares[id] = id, s
		s.InfoHash = id
	}
}

// finish brings the data and says so.
func (n *Node) finish(s *api.Share) {
	n.World.mu.Lock()
	from, ok := n.World.paths[s.InfoHash]
	n.World.mu.Unlock()
	if ok {
		if err := copyTree(from.Path, s.Path); err != nil {
			s.State, s.Problem = api.StateFailed, err.Error()
			n.publish(s)
			return
		}
	}
	s.State, s.ETA, s.DownRate, s.Completed = api.StateSeeding, 0, 0, n.Now()
	s.Result = &api.Done{
		Head: api.Head{Event: api.EventDone, InfoHash: s.InfoHash}, Path: s.Path, Bytes: s.Bytes, Seconds: 1.5, Name: s.Name,
		Peers: []api.Source{{Address: "127.0.0.1:7463", Client: "shoal", Bytes: s.Bytes}},
	}
	n.publish(s)
	n.Bus.Publish(s.Result)
}

func (n *Node) publish(s *api.Share) {
	n.Bus.Publish(&api.ShareEvent{Head: api.Head{Event: api.EventShare, InfoHash: s.InfoHash, Time: n.Now()}, Share: *s})
}

func (n *Node) get(id string) (*api.Share, error) {
	if s, ok := n.shares[id]; ok {
		return s, nil
	}
	if s, ok := n.shares[n.alias[id]]; ok {
		return s, nil
	}
	return nil, api.Errorf(api.NotFound, id, "this node has no such share")
}

// Detail implements httpd.Shares.
func (n *Node) Detail(_ context.Context, id string) (api.Detail, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.get(id)
	if err != nil {
		return api.Detail{}, err
	}
	d := api.Detail{Share: *s, PieceLength: PieceLength, Limits: n.limits[id], Comment: "made by a fake",
		FileList: []api.File{}, PeerList: []api.Peer{}, Trackers: []api.TrackerStatus{}}
	d.FileList = append(d.FileList, api.File{Path: s.Name, Bytes: s.Bytes, Done: s.BytesDone, Selected: true})
	if len(n.groups) > 0 {
		d.Locators = n.locators()
	}
	d.PeerList = append(d.PeerList, n.peersOf(s)...)
	d.Trackers = append(d.Trackers, api.TrackerStatus{URL: "http://127.0.0.1:1/announce", Message: "none here", Seeders: -1, Leechers: -1})
	return d, nil
}

// Add implements httpd.Shares. A link whose name begins with fail- fails with the
// kind that follows.
func (n *Node) Add(_ context.Context, r api.AddRequest) (api.Share, error) {
	id, name := "", ""
	var groups []string
	switch {
	case r.Link != "":
		l, err := api.ParseLink(r.Link)
		if err != nil {
			return api.Share{}, err
		}
		id, name, groups = l.InfoHash, l.Name, l.Groups
	case r.URL != "":
		return api.Share{}, api.Errorf(api.OutOfScope, r.URL, "names are not resolved in scope loopback")
	default:
		m, err := api.ParseMetainfo(r.Torrent)
		if err != nil {
			return api.Share{}, err
		}
		id, name, groups = m.InfoHash, m.Name, m.Groups
	}
	if kind, ok := strings.CutPrefix(name, "fail-"); ok {
		return api.Share{}, api.Errorf(api.Kind(kind), name, "the fake was told to fail").Try("ask for something else")
	}
	if name == "" {
		name = id[:12]
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.shares[id]; ok {
		return *s, nil
	}
	audience, err := n.audience(groups)
	if err != nil {
		return api.Share{}, err
	}
	s := &api.Share{InfoHash: id, Name: name, Groups: audience, Path: filepath.Join(r.Dir, name), Link: r.Link, Origin: api.OriginGet,
		State: api.StateMetadata, Added: n.Now()}
	if len(id) == 40 {
		s.InfoHashV1 = id
	} else {
		s.InfoHashV2 = id
	}
	n.shares[id], n.limits[id], n.peers[id] = s, r.Limits, r.Peers
	n.publish(s)
	return *s, nil
}

// Create implements httpd.Shares: the info hashes are those of the name and the
// bytes, which no client would understand.
func (n *Node) Create(ctx context.Context, r api.CreateRequest, progress func(api.Progress)) (api.Created, error) {
	sum1, sum2 := sha1.New(), sha256.New()
	var total int64
	files := 0
	err := filepath.WalkDir(r.Path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		total, files = total+int64(len(b)), files+1
		sum1.Write(b)
		sum2.Write(b)
		progress(api.Progress{Done: total, Total: total})
		return err
	})
	if err != nil {
		return api.Created{}, err
	}
	name := r.Name
	if name == "" {
		name = filepath.Base(r.Path)
	}
	if strings.HasPrefix(name, "endless") {
		<-ctx.Done()
		return api.Created{}, ctx.Err()
	}
	io.WriteString(sum1, name)
	io.WriteString(sum2, name)
	h1, h2 := hex.EncodeToString(sum1.Sum(nil)), hex.EncodeToString(sum2.Sum(nil))
	link := fmt.Sprintf("magnet:?xt=urn:btih:%s&xt=urn:btmh:1220%s&dn=%s", h1, h2, name)
	if r.Format == "v2" {
		h1, link = "", fmt.Sprintf("magnet:?xt=urn:btmh:1220%s&dn=%s", h2, name)
	}
	for _, g := range r.Groups {
		link += "&x.group=" + g
	}
	groups, err := n.audienceNow(r.Groups)
	if err != nil {
		return api.Created{}, err
	}
	s := &api.Share{InfoHash: h2, InfoHashV1: h1, InfoHashV2: h2, Name: name, Path: r.Path, Link: link, Format: r.Format, Groups: groups,
		Origin: api.OriginShare, State: api.StateSeeding, Bytes: total, BytesWanted: total, BytesDone: total, Files: files,
		Pieces: int(total/PieceLength) + 1, PiecesDone: int(total/PieceLength) + 1, Added: n.Now(), Completed: n.Now()}
	n.World.mu.Lock()
	if n.World.paths == nil {
		n.World.paths = map[string]api.Share{}
	}
	n.World.paths[h2] = *s
	if h1 != "" {
		n.World.paths[h1] = *s
	}
	n.World.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.shares[h2], n.limits[h2] = s, r.Limits
	n.publish(s)
	return api.Created{Link: link, InfoHashV1: h1, InfoHashV2: h2, Name: name, Bytes: total, Files: files, Pieces: s.Pieces,
		Seconds: 0.25, InfoHash: h2, Path: r.Path, Format: r.Format, Groups: groups, PieceLength: PieceLength,
		Report: api.Report{EmptyFolders: []string{"empty"}, EmptyCount: 1, Hidden: 2}}, nil
}

// copyTree copies a file or a folder.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(dst, 0o755)
		}
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(dst, b, 0o644)
	})
}

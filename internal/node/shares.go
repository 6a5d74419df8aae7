package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/adapter/tracker"
	"shoal/internal/core/group"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/door/api"
	"shoal/internal/node/engine"
	"shoal/internal/node/groups"
	"shoal/internal/node/web"
)

// List implements httpd.Shares.
func (n *Node) List(context.Context) ([]api.Share, error) {
	var list []api.Share
	for _, st := range n.engine.List() {
		s := n.shareOf(&st)
		s.Result = nil
		list = append(list, s)
	}
	return list, nil
}

// Share implements httpd.Shares.
func (n *Node) Share(_ context.Context, id string) (api.Share, error) {
	st, err := n.engine.Status(id)
	if err != nil {
		return api.Share{}, Problem(err)
	}
	return n.shareOf(&st), nil
}

// Detail implements httpd.Shares.
func (n *Node) Detail(_ context.Context, id string) (api.Detail, error) {
	d, err := n.engine.Detail(id)
	if err != nil {
		return api.Detail{}, Problem(err)
	}
	out := api.Detail{Share: n.shareOf(&d.Status), Limits: api.Limits{Up: api.Rate(d.Up), Down: api.Rate(d.Down)},
		PeerList: []api.Peer{}, Trackers: []api.TrackerStatus{}, FileList: []api.File{}}
	who := n.byAddr(n.contacts())
	for i := range d.Peers {
		out.PeerList = append(out.PeerList, peerOf(&d.Peers[i], who))
	}
	out.Locators = locatorsOf(d.Yield)
	for i := range d.Trackers {
		out.Trackers = append(out.Trackers, trackerOf(&d.Trackers[i]))
	}
	if d.Meta != nil {
		describe(&out, d.Meta)
		for i := range out.FileList {
			f := d.Indexes[i]
			out.FileList[i].Done, out.FileList[i].Selected = d.Done[f], d.Wanted[f]
		}
	}
	return out, nil
}

func trackerOf(t *engine.TrackerStatus) api.TrackerStatus {
	return api.TrackerStatus{URL: t.URL, Tier: t.Tier, Message: t.Message, Seeders: t.Seeders, Leechers: t.Leechers, Next: t.Next}
}

// describe fills what a metainfo tells.
func describe(out *api.Detail, m *metainfo.Metainfo) {
	info := m.Info
	out.PieceLength, out.Padding = info.PieceLength, info.Padding()
	out.Comment, out.CreatedBy, out.WebSeeds = m.Comment, m.CreatedBy, m.WebSeeds
	if m.Created > 0 {
		out.Created = time.Unix(m.Created, 0).UTC()
	}
	out.FileList = []api.File{}
	for i := range info.Files {
		f := &info.Files[i]
		if f.Pad {
			continue
		}
		out.FileList = append(out.FileList, api.File{Path: pathOf(f), Raw: f.Raw, Bytes: f.Length, Selected: true})
	}
}

func pathOf(f *metainfo.File) string {
	var b bytes.Buffer
	for i, c := range f.Path {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(c)
	}
	return b.String()
}

var stateNames = [...]api.State{engine.Metadata: api.StateMetadata, engine.Checking: api.StateChecking,
	engine.Fetching: api.StateDownloading, engine.Seeding: api.StateSeeding, engine.Paused: api.StatePaused, engine.Failed: api.StateFailed}

// shareOf is what the API tells of a share.
func (n *Node) shareOf(st *engine.Status) api.Share {
	s := shareOf(st)
	s.Groups = n.audienceOf(st.Groups)
	return s
}

func shareOf(st *engine.Status) api.Share {
	s := api.Share{InfoHash: st.ID, Name: st.Name, Path: st.Path, Link: st.Link, Origin: api.OriginGet, State: stateNames[st.State],
		Problem: st.Problem, Private: st.Private, Bytes: st.Bytes, BytesWanted: st.Wanted, BytesDone: st.Done,
		Files: st.Files, Pieces: st.Pieces, PiecesDone: st.Have, Downloaded: st.Downloaded, Uploaded: st.Uploaded,
		Wasted: st.Wasted, DownRate: api.Rate(st.DownRate), UpRate: api.Rate(st.UpRate), Checked: st.Checked,
		Peers: st.Peers, Seeds: st.Seeds, Candidates: st.Candidates, Added: st.Added, Completed: st.Completed}
	if st.InPlace {
		s.Origin = api.OriginShare
	}
	if st.State != engine.Checking {
		s.Checked = 0
	}
	if st.Hash.HasV1() {
		s.InfoHashV1 = hex.EncodeToString(st.Hash.V1[:])
	}
	if st.Hash.HasV2() {
		s.InfoHashV2 = hex.EncodeToString(st.Hash.V2[:])
	}
	if st.Pieces > 0 {
		s.Format = st.Hash.Version.String()
	}
	if st.DownRate > 0 && st.Done < st.Wanted {
		s.ETA = float64(st.Wanted-st.Done) / float64(st.DownRate)
	}
	if st.State == engine.Failed && st.Err != nil {
		p := api.AsError(Problem(st.Err))
		s.Problem, s.Code = p.Error(), p.Kind
	}
	if st.Complete && !st.InPlace {
		s.Result = doneOf(st)
	}
	return s
}

func doneOf(st *engine.Status) *api.Done {
	d := &api.Done{Head: api.Head{Event: api.EventDone, InfoHash: st.ID}, Path: st.Path, Bytes: st.Wanted, Wasted: st.Wasted,
		Seconds: st.Seconds, Name: st.Name, Peers: []api.Source{}}
	for _, p := range st.Sources {
		d.Peers = append(d.Peers, api.Source{Address: p.Addr.String(), Client: p.Client, Bytes: p.Bytes})
	}
	return d
}

// Add implements httpd.Shares.
func (n *Node) Add(ctx context.Context, r api.AddRequest) (api.Share, error) {
	dir, err := absDir(r.Dir)
	if err != nil {
		return api.Share{}, err
	}
	spec := engine.Spec{Dir: dir, Select: r.Select, Peers: r.Peers, Sequential: r.Sequential, Up: int64(r.Limits.Up), Down: int64(r.Limits.Down)}
	switch {
	case r.Link != "":
		spec.Magnet, err = metainfo.ParseMagnet(r.Link)
	case r.URL != "":
		if r.Torrent, err = n.fetch(ctx, r.URL); err != nil {
			return api.Share{}, err
		}
		fallthrough
	default:
		spec.Meta, err = metainfo.Parse(r.Torrent)
	}
	if err != nil {
		return api.Share{}, Problem(err)
	}
	if err := checkPeers(r.Peers); err != nil {
		return api.Share{}, err
	}
	if spec.Groups, err = n.audience(&spec); err != nil {
		return api.Share{}, err
	}
	st, err := n.engine.Add(spec)
	if err != nil {
		return api.Share{}, Problem(err)
	}
	return n.shareOf(&st), nil
}

// audience is who may see what is to be fetched, as its link or .torrent says. A node that
// is in none of the groups could only ask strangers.
func (n *Node) audience(spec *engine.Spec) (list []group.ID, err error) {
	named, name := spec.Magnet.Groups, spec.Magnet.Name
	if spec.Meta != nil {
		named, name = spec.Meta.Groups, spec.Meta.Info.Name
	}
	ours, err := n.groups.List()
	if err != nil {
		return nil, groupProblem(err)
	}
	for _, id := range named {
		if slices.ContainsFunc(ours, func(g groups.Summary) bool { return g.ID == group.ID(id) && g.Rights != 0 }) {
			list = append(list, group.ID(id))
		}
	}
	if len(named) > 0 && len(list) == 0 {
		return nil, api.Errorf(api.Refused, name, "this link is for the members of a group that this node is not in").
			Try("ask one of them for an invitation (`shoal join TICKET`)")
	}
	return list, nil
}

// checkPeers judges addresses that a person typed.
func checkPeers(list []string) error {
	for _, p := range list {
		host, port, err := net.SplitHostPort(p)
		if err == nil && host == "" {
			err = errors.New("the host is missing")
		}
		if err == nil {
			var a netip.AddrPort
			if a, err = netip.ParseAddrPort("0.0.0.0:" + port); err == nil && a.Port() == 0 {
				err = errors.New("port 0 is nobody's")
			}
		}
		if err != nil {
			return api.Errorf(api.Invalid, p, "this is not the address of a peer: %w", err).Try("write host:port")
		}
	}
	return nil
}

// fetch gets a .torrent from the web, within the scope. An address that the person typed is
// judged as that; what a name or a redirect leads to, as a stranger's word.
func (n *Node) fetch(ctx context.Context, from string) ([]byte, error) {
	scope := n.opts.Config.Network.Scope
	c := web.Client{Agent: "shoal/" + api.Version, Most: api.MaxMetainfo, Lookup: n.names.lookup, Dial: n.dial,
		Allow: func(a netip.AddrPort, typed bool) error {
			if typed {
				return scope.AllowFrom(a, FromPerson)
			}
			return scope.AllowFrom(a, FromStranger)
		}}
	return c.Get(ctx, from)
}

// Create implements httpd.Shares.
func (n *Node) Create(ctx context.Context, r api.CreateRequest, progress func(api.Progress)) (api.Created, error) {
	if _, err := absDir(r.Path); err != nil {
		return api.Created{}, err
	}
	if err := checkPeers(r.Peers); err != nil {
		return api.Created{}, err
	}
	version := metainfo.Hybrid
	if len(r.Groups) > 0 {
		version = metainfo.V2 // no old client will ever see it
	}
	if r.Format != "" {
		v, err := metainfo.ParseVersion(r.Format)
		if err != nil {
			return api.Created{}, api.Errorf(api.Invalid, r.Format, "this is not a format").Try("write hybrid, v1 or v2")
		}
		version = v
	}
	o := store.CreateOptions{Name: r.Name, Version: version, PieceLength: r.PieceLength, WebSeeds: r.WebSeeds, Private: r.Private,
		Comment: r.Comment, CreatedBy: "shoal " + api.Version, Progress: func(done, total int64) { progress(api.Progress{Done: done, Total: total}) }}
	for _, t := range r.Trackers {
		if err := tracker.CheckURL(t); err != nil {
			return api.Created{}, api.Errorf(api.Invalid, t, "this is not the URL of a tracker: %w", err).Try("write http://HOST/announce or udp://HOST:PORT/announce")
		}
		o.Trackers = append(o.Trackers, []string{t})
	}
	audience, err := n.groupIDs(r.Groups)
	if err != nil {
		return api.Created{}, err
	}
	begun := time.Now()
	m, report, err := store.Create(ctx, r.Path, o)
	if err != nil {
		return api.Created{}, Problem(err)
	}
	if m, err = m.WithGroups(plain(audience)); err != nil {
		return api.Created{}, Problem(err)
	}
	took := time.Since(begun)
	spec := engine.Spec{Meta: m, Groups: audience, Dir: filepath.Dir(report.Root), InPlace: true, Resume: report.Resume, Peers: r.Peers,
		Up: int64(r.Limits.Up), Down: int64(r.Limits.Down)}
	if base := filepath.Base(report.Root); base != m.Info.Name {
		spec.Base = base
	}
	had, before := n.engine.Detail(m.Hash.ID())
	for _, t := range r.Trackers {
		if before == nil && !slices.ContainsFunc(had.Trackers, func(h engine.TrackerStatus) bool { return h.URL == t }) {
			return api.Created{}, api.Errorf(api.Exists, m.Info.Name, "it is shared already, without the tracker %s", t).
				Try("remove it first with `shoal rm`, which leaves its files")
		}
	}
	st, err := n.engine.Add(spec)
	if err != nil {
		return api.Created{}, Problem(err)
	}
	s := n.shareOf(&st)
	return api.Created{Link: m.Magnet().String(), NoLink: len(m.InfoBytes) > wire.MaxMetadata, InfoHashV1: s.InfoHashV1, InfoHashV2: s.InfoHashV2, Name: m.Info.Name, Bytes: m.Info.Bytes(),
		Files: s.Files, Pieces: m.Info.NumPieces(), Seconds: took.Seconds(), InfoHash: s.InfoHash, Path: report.Root,
		Format: m.Info.Version.String(), PieceLength: m.Info.PieceLength, Padding: m.Info.Padding(), Existed: before == nil,
		Report: reportOf(report), Groups: s.Groups}, nil
}

// plain are group IDs as a metainfo has them.
func plain(ids []group.ID) (list [][32]byte) {
	for _, id := range ids {
		list = append(list, id)
	}
	return list
}

// groupIDs are the groups that the door has found.
func (n *Node) groupIDs(ids []string) (list []group.ID, err error) {
	for _, id := range ids {
		g, err := n.groups.Show(id)
		if err != nil {
			return nil, groupProblem(err)
		}
		if g.Rights == 0 {
			return nil, groupProblem(groups.ErrOut)
		}
		list = append(list, g.ID)
	}
	return list, nil
}

func reportOf(r *store.Report) api.Report {
	out := api.Report{SkippedCount: r.SkippedCount, EmptyFolders: r.EmptyFolders, EmptyCount: r.EmptyFolderCount, Hidden: r.Hidden, Modes: r.Modes}
	for _, s := range r.Skipped {
		out.Skipped = append(out.Skipped, api.Skipped{Path: s.Path, Reason: s.Reason})
	}
	return out
}

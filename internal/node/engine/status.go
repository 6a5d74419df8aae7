package engine

import (
	"net/netip"
	"path/filepath"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/node/announce"
	"shoal/internal/node/files"
	"shoal/internal/node/link"
)

// Status is one share at one moment.
type Status struct {
	ID, Name, Path string
	Hash           metainfo.InfoHash
	InPlace        bool
	Private        bool
	State          State
	Problem        string
	Err            error // behind Problem, for callers that decide on its kind
	Refused        bool  // because of Err it is forgotten again, nothing was begun

	Bytes, Wanted, Done      int64 // of all files, of the selected ones, verified of those
	Files, Pieces, Have      int
	Downloaded               int64
	Uploaded                 int64
	Wasted                   int64
	DownRate, UpRate         int64 // bytes a second
	Checked                  float64
	Peers, Seeds, Candidates int
	Complete                 bool
	Up, Down                 int64 // limits
	Added, Completed         time.Time
	Seconds                  float64 // from Add, or this start, to the last verified piece
	Sources                  []Source
	Link                     string
}

// Source is a peer that gave data.
type Source = link.Source

// TrackerStatus is what one tracker last said.
type TrackerStatus = announce.Status

// EventKind says what an Event tells.
type EventKind uint8

// The events.
const (
	EventAdded EventKind = iota
	EventState
	EventDone
	EventRemoved
	EventChanged
	EventPenalised
	EventTracker
	EventNotice
)

// Event is something that happened. Which fields mean something follows from its kind.
type Event struct {
	Kind    EventKind
	ID      string
	Name    string
	Status  *Status
	Tracker *TrackerStatus
	Paths   []string // EventChanged
	Reason  string   // EventPenalised
	Action  string
	Peer    netip.AddrPort
	Code    string // EventNotice
	Text    string
	Piece   int
}

func (e *Engine) tell(v Event) { e.cfg.Events(v) }

// setState changes the state and tells when it did.
func (s *Share) setState(st State) {
	if s.state == st && s.status.Load() != nil && s.status.Load().State == st {
		return
	}
	s.state = st
	s.publish()
	s.e.tell(Event{Kind: EventState, ID: s.id(), Status: s.status.Load()})
}

// counters brings the row's totals up to date.
func (s *Share) counters() {
	down, up := s.totals.down, s.totals.up
	for _, c := range s.conns {
		if c != nil && c.up {
			down += c.blocksIn
			up += c.blocksOut
		}
	}
	s.row.Downloaded = s.base.down + down
	s.row.Uploaded = s.base.up + up
	s.row.Wasted = s.base.wasted + s.t.Counted.Wasted
}

// publish shows the share's state to everybody.
func (s *Share) publish() {
	s.counters()
	st := baseStatus(s.row, s.hash)
	st.Complete = st.Complete && !s.asked
	st.State, st.Problem, st.Err, st.Checked = s.state, s.problem, s.failed, s.checked
	st.Refused = s.removed && s.failed != nil
	st.DownRate, st.UpRate = s.downMeter.Rate(), s.upMeter.Rate()
	st.Candidates = s.cands.Len()
	for _, c := range s.conns {
		if c != nil && c.up {
			st.Peers++
			if p := s.t.Peer(c.slot); p.Seed {
				st.Seeds++
			}
		}
	}
	if s.meta != nil {
		st.Link = s.link()
		s.progress(st)
	}
	if s.row.Complete {
		st.Seconds = s.seconds
		st.Sources = s.sources()
	}
	s.status.Store(st)
}

// link is the magnet link with everything that the metainfo tells.
func (s *Share) link() string {
	if s.linkText == "" {
		s.linkText = s.meta.Magnet().String()
	}
	return s.linkText
}

// progress counts verified bytes of wanted files: whole pieces, less the share of them that
// lies in padding or gaps.
func (s *Share) progress(st *Status) {
	info := s.meta.Info
	st.Bytes, st.Pieces, st.Have = info.Bytes(), info.NumPieces(), s.t.HaveCount()
	if s.wantedBytes < 0 {
		s.wantedBytes = files.Bytes(info, s.spec.wanted(info))
	}
	st.Wanted = s.wantedBytes
	filled := float64(info.Bytes()) / float64(max(info.Span(), 1))
	switch {
	case s.t.Info() == nil:
	case s.t.Needed() == 0 && len(s.gone) == 0:
		st.Done = st.Wanted
	case st.Wanted == info.Bytes():
		st.Done = int64(float64(min(int64(st.Have)*info.PieceLength, info.Span())) * filled)
	default:
		st.Done = st.Wanted - int64(float64(int64(s.t.Needed())*info.PieceLength)*filled)
	}
	st.Done = max(0, min(st.Done, st.Wanted))
}

// sources lists who gave data, most first.
func (s *Share) sources() []Source {
	var now []Source
	for _, c := range s.conns {
		if c != nil && c.up {
			now = append(now, c.source())
		}
	}
	return s.totals.sources.With(now).List()
}

func (c *conn) source() Source { return Source{Addr: c.Addr, Client: c.client(), Bytes: c.blocksIn} }

// bytesLeft is what of the whole share is not here, for trackers: who has all that it
// wants and not all is no seed.
func (s *Share) bytesLeft() int64 {
	if s.row.Complete && s.t.Info() == nil {
		return 0 // it is being looked at again
	}
	if s.meta == nil || s.t.Info() == nil {
		return 1 << 40 // unknown, but not zero: that would say we are a seed
	}
	return files.Left(s.meta.Info, s.t.Have)
}

// baseStatus is what a row tells of its share.
func baseStatus(row store.Row, h metainfo.InfoHash) *Status {
	st := &Status{ID: row.ID, Name: row.Name, Hash: h, InPlace: row.InPlace, Private: row.Private,
		Path: filepath.Join(row.Dir, row.Name), Complete: row.Complete, Downloaded: row.Downloaded,
		Uploaded: row.Uploaded, Wasted: row.Wasted, Up: row.UpLimit, Down: row.DownLimit,
		Added: row.Added, Completed: row.Completed, Bytes: row.Bytes, Wanted: row.Bytes,
		Files: row.Files, Pieces: row.Pieces, Link: row.Link}
	if st.Link == "" {
		st.Link = metainfo.Magnet{Hash: h, Name: row.Name}.String()
	}
	if row.Base != "" {
		st.Path = filepath.Join(row.Dir, row.Base)
	}
	return st
}

// parkedStatus is the status of a share whose loop does not run.
func parkedStatus(row store.Row, h metainfo.InfoHash) *Status {
	st := baseStatus(row, h)
	switch {
	case row.Paused:
		st.State = Paused
	case row.Complete:
		st.State, st.Done, st.Have = Seeding, st.Wanted, st.Pieces
	case row.Link != "":
		st.State = Metadata
	default:
		st.State = Fetching
	}
	return st
}

// had says how much was verified when the loop last ran. The last piece may be short, and of a
// selection pieces may not count: about as much is done.
func (st *Status) had(pieces int) {
	if st.Pieces > 0 {
		st.Have, st.Done = pieces, min(st.Bytes/int64(st.Pieces)*int64(pieces), st.Wanted)
	}
}

// PeerStatus is one connected peer of one share.
type PeerStatus = link.Status

func (s *Share) peerStatus(c *conn) PeerStatus {
	v := s.t.Peer(c.slot)
	p := PeerStatus{Addr: c.Addr, Client: c.client(), Incoming: c.Incoming, In: c.blocksIn, Out: c.blocksOut,
		InRate: int64(v.DownRate), OutRate: int64(v.UpRate)}
	if n := s.t.Info(); n != nil && n.NumPieces() > 0 {
		p.Have = float64(v.Have) / float64(n.NumPieces())
	}
	p.Flags = link.Flags(v, c.Fast())
	p.Pending, p.Queued = v.Pending, v.Queued
	return p
}

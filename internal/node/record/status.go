package record

import (
	"net/netip"
	"path/filepath"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/group"
	"shoal/internal/core/metainfo"
	"shoal/internal/node/announce"
	"shoal/internal/node/files"
	"shoal/internal/node/link"
	"shoal/internal/node/locate"
)

// State says what a share is doing.
type State uint8

// The states of a share.
const (
	Metadata State = iota // a link whose info dictionary has not come yet
	Checking              // data on disk is being verified
	Fetching              // pieces are wanted
	Seeding               // everything wanted is here
	Paused                // a person said so
	Failed                // something stands in its way: see Problem
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
	Groups                   []group.ID // who may see it; none: everybody
	Yield                    []Yield    // since the engine began, by source
}

// Yield is what candidates of one source brought.
type Yield = locate.Yield

// Source is a peer that gave data.
type Source = link.Source

// PeerStatus is one connected peer of one share.
type PeerStatus = link.Status

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

// Base is what a row tells of its share.
func Base(row store.Row, h metainfo.InfoHash) *Status {
	st := &Status{ID: row.ID, Name: row.Name, Hash: h, InPlace: row.InPlace, Private: row.Private,
		Path: filepath.Join(row.Dir, row.Name), Complete: row.Complete, Downloaded: row.Downloaded,
		Uploaded: row.Uploaded, Wasted: row.Wasted, Up: row.UpLimit, Down: row.DownLimit,
		Added: row.Added, Completed: row.Completed, Bytes: row.Bytes, Wanted: row.Bytes,
		Files: row.Files, Pieces: row.Pieces, Link: row.Link, Groups: GroupsOf(row)}
	if st.Link == "" {
		st.Link = metainfo.Magnet{Hash: h, Name: row.Name, Groups: row.Audience()}.String()
	}
	if row.Base != "" {
		st.Path = filepath.Join(row.Dir, row.Base)
	}
	return st
}

// Parked is the status of a share whose loop does not run.
func Parked(row store.Row, h metainfo.InfoHash) *Status {
	st := Base(row, h)
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

// Had says how much was verified when the loop last ran. The last piece may be short, and of a
// selection pieces may not count: about as much is done.
func (st *Status) Had(pieces int) {
	if st.Pieces > 0 {
		st.Have, st.Done = pieces, min(st.Bytes/int64(st.Pieces)*int64(pieces), st.Wanted)
	}
}

// Detail is what is known of one share beyond its Status.
type Detail struct {
	Status
	Meta     *metainfo.Metainfo // nil while it has not come
	Done     []int64            // verified bytes of each file, by index
	Wanted   []bool
	Indexes  []int // of the files that are no padding
	Peers    []PeerStatus
	Trackers []TrackerStatus
}

// Describe fills what is known of files. want may be nil, for all; have tells which pieces are
// here.
func (d *Detail) Describe(info *metainfo.Info, want, have func(int) bool) {
	d.Done, d.Wanted = make([]int64, len(info.Files)), make([]bool, len(info.Files))
	for f := range info.Files {
		if !info.Files[f].Pad {
			d.Indexes = append(d.Indexes, f)
		}
		d.Done[f], d.Wanted[f] = files.Verified(info, f, have), want == nil || want(f)
	}
}

// Progress counts verified bytes of the wanted files: whole pieces, less the share of them that
// lies in padding or gaps. have and needed are pieces; all tells that none lacks.
func (st *Status) Progress(info *metainfo.Info, have, needed int, all bool) {
	st.Have = have
	filled := float64(info.Bytes()) / float64(max(info.Span(), 1))
	switch {
	case all:
		st.Done = st.Wanted
	case st.Wanted == info.Bytes() || needed == 0: // or what is needed is not known yet
		st.Done = int64(float64(min(int64(have)*info.PieceLength, info.Span())) * filled)
	default:
		st.Done = st.Wanted - int64(float64(int64(needed)*info.PieceLength)*filled)
	}
	st.Done = max(0, min(st.Done, st.Wanted))
}

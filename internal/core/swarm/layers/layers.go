// Package layers fetches the piece layers that a magnet link does not bring (BEP 52 hash
// request): it decides whom to ask for which run of hashes, judges the answers and says
// when a layer is whole. Like all of core it only computes: events and time in, effects
// out. It sends nothing and knows nothing of choking or of pieces' data; the format of the
// messages is in internal/core/wire, the proofs are in internal/core/metainfo.
package layers

import (
	"slices"
	"time"

	"shoal/internal/core/metainfo"
)

// Constants of the fetching of piece layers: choices of this program.
const (
	layerTimeout = 10 * time.Second // a peer that has not answered by then is left alone for a while
	layerAgain   = 30 * time.Second // how long a peer that refused or was silent is not asked again
	layerPerPeer = 8                // requests outstanding at a peer: 8 × 16 KiB are under way
	layerScan    = 64               // requests looked at for one peer at a time
)

// Kind tells what a Event or Effect is.
type Kind uint8

// The kinds of events.
const (
	_      Kind = iota
	Offer       // Peer speaks BEP 52 and may be asked for what is missing; Among: how many such there are
	Gone        // Peer is gone
	Answer      // Peer, Root, Range, Hashes: a hashes message
	Reject      // Peer, Root, Range: a hash reject message
	Known       // File: its layer came by another way
)

// The kinds of effects.
const (
	Ask   Kind = iota + 16 // Peer, Root, Range: send a hash request
	Done                   // File, Layer: the whole layer, proved
	Fault                  // Peer sent hashes that do not lead to the root: it is to be banned
)

// Event is one thing that happened. Which fields mean something is said at its kind.
type Event struct {
	Kind   Kind
	Peer   Peer
	Among  int
	File   int
	Root   [32]byte
	Range  metainfo.HashRange
	Hashes [][32]byte
}

// Effect is one thing for the driver to do.
type Effect struct {
	Kind  Kind
	Peer  Peer
	File  int
	Root  [32]byte
	Range metainfo.HashRange
	Layer []byte
}

// Plan is the fetching of one share's layers. One peer is asked for several runs at a time
// and several peers for different ones. A peer is asked for the hashes of pieces it has,
// which it must be able to answer (BEP 52), or else if it has anything at all.
type Plan struct {
	meta  *metainfo.Metainfo
	files []layerFile
	index map[int]int // by file
	open  []layerRun  // not asked for, in the order in which they are wanted
	peers []layerPeer
	has   func(p Peer, first, end int) bool
	left  int
	part  int // requests outstanding at a peer
}

type layerFile struct {
	file  int
	fetch *metainfo.LayerFetch // nil before the first request and when done
	done  bool
}

// layerRun is one request that is to be made.
type layerRun struct {
	file  int // index in files
	run   int
	tried []layerTry // who refused it or was silent
}

type layerTry struct {
	peer Peer
	at   time.Duration
}

// layerPeer is a peer that was asked something.
type layerPeer struct {
	id     Peer
	asked  []layerAsked
	silent time.Duration // it did not answer in time: not asked before this
}

type layerAsked struct {
	layerRun
	rng metainfo.HashRange
	at  time.Duration
}

// Peer is the driver's slot number of a connected peer, as in package swarm.
type Peer uint32

// New begins to fetch the layers of the given files, the first first. Of files with
// the same content one is enough. has tells whether a peer has a piece of the share in
// [first, end).
func New(m *metainfo.Metainfo, files []int, has func(p Peer, first, end int) bool) *Plan {
	l := &Plan{meta: m, index: make(map[int]int, len(files)), has: has}
	for _, f := range files {
		fetch := m.NewLayerFetch(f)
		if fetch == nil {
			continue
		}
		for run := range fetch.Runs() {
			l.open = append(l.open, layerRun{file: len(l.files), run: run})
		}
		l.index[f] = len(l.files)
		l.files = append(l.files, layerFile{file: f})
	}
	l.left = len(l.files)
	return l
}

// Left is the number of layers that have not come.
func (l *Plan) Left() int { return l.left }

// Step takes one event and appends what is to be done to out. now is any clock that only
// goes forward.
func (l *Plan) Step(now time.Duration, e Event, out []Effect) []Effect {
	l.expire(now)
	switch e.Kind {
	case Offer:
		// Few requests are for many peers: one that gets all of them takes longer to answer.
		l.part = min(max((l.unanswered()+e.Among-1)/max(e.Among, 1), 1), layerPerPeer)
		return l.ask(now, e.Peer, out)
	case Gone:
		l.gone(e.Peer)
	case Answer:
		return l.answer(now, &e, out)
	case Reject:
		if a, ok := l.take(&e); ok {
			l.reopen(a, now, e.Peer)
		}
	case Known:
		if i, ok := l.index[e.File]; ok {
			l.finish(i)
		}
	}
	return out
}

// expire takes requests back that were not answered in time.
func (l *Plan) expire(now time.Duration) {
	for i := range l.peers {
		p := &l.peers[i]
		for len(p.asked) > 0 && now-p.asked[0].at > layerTimeout {
			l.reopen(p.asked[0], now, p.id)
			p.asked = p.asked[1:]
			p.silent = now + layerAgain
		}
	}
}

// reopen puts a request back in the list: at its end, for the peer may lack just this.
func (l *Plan) reopen(a layerAsked, now time.Duration, by Peer) {
	if l.files[a.file].done {
		return
	}
	tried := slices.DeleteFunc(a.tried, func(t layerTry) bool { return t.peer == by || now-t.at > layerAgain })
	a.tried = append(tried, layerTry{by, now})
	l.open = append(l.open, a.layerRun)
}

// gone forgets a peer. What it was asked for others are asked next.
func (l *Plan) gone(id Peer) {
	for i := range l.open {
		// Another peer will come in its place under the same number.
		l.open[i].tried = slices.DeleteFunc(l.open[i].tried, func(t layerTry) bool { return t.peer == id })
	}
	i := l.peer(id)
	if i < 0 {
		return
	}
	for _, a := range l.peers[i].asked {
		if !l.files[a.file].done {
			l.open = append(l.open, a.layerRun)
		}
	}
	l.peers = slices.Delete(l.peers, i, i+1)
}

// unanswered is the number of requests that are still to be answered.
func (l *Plan) unanswered() int {
	n := len(l.open)
	for i := range l.peers {
		n += len(l.peers[i].asked)
	}
	return n
}

func (l *Plan) peer(id Peer) int {
	return slices.IndexFunc(l.peers, func(p layerPeer) bool { return p.id == id })
}

// ask fills a peer's pipeline: with runs of which it has a piece, and where it has none of
// those that were looked at, with any if it has anything.
func (l *Plan) ask(now time.Duration, id Peer, out []Effect) []Effect {
	if len(l.open) == 0 {
		return out
	}
	i := l.peer(id)
	if i < 0 {
		if !l.has(id, 0, l.meta.Info.NumPieces()) {
			return out
		}
		i = len(l.peers)
		l.peers = append(l.peers, layerPeer{id: id})
	}
	p := &l.peers[i]
	if now < p.silent {
		return out
	}
	begun := len(p.asked)
	out = l.fill(now, p, true, out)
	if len(p.asked) == begun && begun == 0 {
		out = l.fill(now, p, false, out)
	}
	return out
}

// fill goes through the open runs, a bounded number, and sends those that fit. What is
// looked at and does not fit moves to the end, so that all are looked at in turn.
func (l *Plan) fill(now time.Duration, p *layerPeer, sure bool, out []Effect) []Effect {
	looked := 0
	var passed []layerRun
	for looked < min(len(l.open), layerScan) && len(p.asked) < l.part {
		r := l.open[looked]
		looked++
		f := &l.files[r.file]
		switch {
		case f.done:
		case !l.fits(now, p.id, r, sure):
			passed = append(passed, r)
		default:
			out = l.send(now, p, r, out)
		}
	}
	if len(passed) < looked || len(l.open) > looked {
		l.open = append(l.open[looked:], passed...)
	}
	return out
}

// fits tells whether the peer can be asked for a run.
func (l *Plan) fits(now time.Duration, id Peer, r layerRun, sure bool) bool {
	for _, t := range r.tried {
		if t.peer == id && now-t.at <= layerAgain {
			return false
		}
	}
	if !sure {
		return true
	}
	first, end := l.meta.Info.FilePieces(l.files[r.file].file)
	first += r.run * metainfo.LayerRun
	return l.has(id, first, min(first+metainfo.LayerRun, end))
}

func (l *Plan) send(now time.Duration, p *layerPeer, r layerRun, out []Effect) []Effect {
	f := &l.files[r.file]
	if f.fetch == nil {
		f.fetch = l.meta.NewLayerFetch(f.file)
	}
	rng := f.fetch.Request(r.run)
	p.asked = append(p.asked, layerAsked{layerRun: r, rng: rng, at: now})
	return append(out, Effect{Kind: Ask, Peer: p.id, File: f.file, Root: l.root(r.file), Range: rng})
}

func (l *Plan) root(i int) [32]byte { return l.meta.Info.Files[l.files[i].file].Root }

// take finds the request that a message answers and takes it off the peer's list.
func (l *Plan) take(e *Event) (layerAsked, bool) {
	i := l.peer(e.Peer)
	if i < 0 {
		return layerAsked{}, false
	}
	p := &l.peers[i]
	for n, a := range p.asked {
		if a.rng == e.Range && l.root(a.file) == e.Root {
			p.asked = slices.Delete(p.asked, n, n+1)
			return a, true
		}
	}
	return layerAsked{}, false
}

// answer judges hashes. Those that nobody asked for, or that come too late, are ignored.
func (l *Plan) answer(now time.Duration, e *Event, out []Effect) []Effect {
	a, ok := l.take(e)
	if !ok || l.files[a.file].done {
		return out
	}
	f := &l.files[a.file]
	if err := f.fetch.Add(e.Range, e.Hashes); err != nil {
		l.open = append(l.open, a.layerRun)
		l.gone(e.Peer)
		return append(out, Effect{Kind: Fault, Peer: e.Peer, File: f.file})
	}
	if layer := f.fetch.Layer(); layer != nil {
		l.finish(a.file)
		out = append(out, Effect{Kind: Done, File: f.file, Layer: layer})
	}
	return l.ask(now, e.Peer, out)
}

// finish ends the fetching of a file's layer; requests under way are answered in vain.
func (l *Plan) finish(i int) {
	if f := &l.files[i]; !f.done {
		f.done, f.fetch = true, nil
		l.left--
	}
}

package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"runtime/debug"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/group"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/announce"
	"shoal/internal/node/files"
	"shoal/internal/node/link"
	"shoal/internal/node/record"
)

// entry is one share in the table: all that a parked share costs.
type entry struct {
	row    store.Row
	hash   metainfo.InfoHash
	groups []group.ID     // who may see it; none: everybody
	share  *Share         // nil while parked
	ending chan struct{}  // of the Share before, which may still be writing
	status *Status        // of a parked share
	past   *announce.Past // what trackers were told of a parked share
	next   time.Time      // when its trackers want to hear of it; zero: it has none, or never
}

func seed() (b [32]byte) {
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return b
}

// load fills the table from the catalog. Complete shares start parked; what is to be
// fetched starts running.
func (e *Engine) load() error {
	rows, err := e.cfg.Catalog.Shares()
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, row := range rows {
		r := &entry{row: row, hash: row.Hash(), groups: record.GroupsOf(row)}
		e.shares[row.ID] = r
		e.name(r)
		r.status = record.Parked(row, r.hash)
		if !row.Complete {
			if kept, err := e.cfg.Catalog.LoadResume(row.ID); err == nil && kept != nil {
				r.status.Had(kept.Count())
			}
		}
		if row.Trackers && !row.Paused && len(r.groups) == 0 {
			r.next = time.Now()
		}
		who := e.audience(r)
		e.offer(&row, r.hash, &who)
		if !row.Complete && !row.Paused && !e.cfg.Offline {
			e.start(r, Spec{}, nil)
		}
	}
	return nil
}

func (e *Engine) name(r *entry) {
	for _, n := range r.hash.Wire() {
		e.names[n] = r
	}
}

// start runs a share; spec is the caller's for a new one and read from the row for an
// old one. e.mu is held.
func (e *Engine) start(r *entry, spec Spec, meta *metainfo.Metainfo) *Share {
	s := &Share{e: e, hash: r.hash, row: r.row, inbox: make(chan msg, inboxSize), done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(e.ctx)
	s.spec, s.meta, s.who = spec, meta, e.audience(r)
	s.shouted.Store(s.who.Shouted())
	s.shared = link.Shared{Pool: e.pool, Buffers: &e.buffers, Down: []*link.Limiter{&s.down, &e.down}, Ctx: s.ctx}
	if spec.Dir == "" {
		s.spec = record.SpecOf(r.row)
	}
	s.status.Store(r.status)
	before := r.ending
	r.share, r.ending = s, s.done
	e.wg.Add(1)
	go func() {
		defer e.wg.Done()
		if before != nil {
			<-before
		}
		e.mu.Lock()
		s.past, r.past = r.past, nil
		e.mu.Unlock()
		if s.meta == nil && r.row.Link == "" {
			s.meta, s.early = e.readTorrent(r.row.ID)
		}
		s.loop()
	}()
	return s
}

// readTorrent reads the home's copy of a .torrent.
func (e *Engine) readTorrent(id string) (*metainfo.Metainfo, error) {
	m, err := store.LoadTorrent(e.torrents(), id)
	if err != nil {
		return nil, fmt.Errorf("the home's copy of this share's .torrent cannot be used (%w); remove the share and add it again", err)
	}
	return m, nil
}

// wake is the running share of that name on the wire; a parked one is started for it.
// Nil: there is none, or it takes no connections, or is not to be seen from that address.
func (e *Engine) wake(name [20]byte, from netip.Addr) *Share {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.names[name]
	if r != nil && len(r.groups) > 0 {
		who := e.audience(r)
		e.mu.Unlock()
		seen := who.Sees(from) // asks others
		e.mu.Lock()
		if !seen || e.names[name] != r {
			return nil
		}
	}
	if r == nil || e.closed || r.row.Paused {
		return nil
	}
	if r.share == nil {
		e.start(r, Spec{}, nil)
	}
	return r.share
}

// Add takes a share in and begins to run it. The same share again with the same folder
// returns the one that is there, with its peers added, and unpauses it; with another
// folder it is ErrElsewhere.
func (e *Engine) Add(spec Spec) (Status, error) {
	if err := spec.Audience(); err != nil {
		return Status{}, err
	}
	spec.Settle()
	hash := spec.Magnet.Hash
	if spec.Meta != nil {
		hash = spec.Meta.Hash
		if !spec.InPlace && len(spec.Select) > 0 && !files.Any(spec.Meta.Info, spec.Filter(spec.Meta.Info)) {
			return Status{}, ErrNoMatch
		}
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return Status{}, errGone
	}
	if r := e.find(hash); r != nil {
		e.mu.Unlock()
		return e.addAgain(r, spec)
	}
	row := record.RowOf(spec, hash)
	err := store.SaveTorrent(e.torrents(), spec.Meta, row)
	pieces := record.Hashed(&row, spec.Resume)
	if err == nil {
		err = e.cfg.Catalog.Save([]store.Row{row}, pieces)
	}
	if err != nil {
		e.mu.Unlock()
		return Status{}, err
	}
	r := &entry{row: row, hash: hash, groups: spec.Groups, status: record.Parked(row, hash)}
	e.shares[row.ID] = r
	e.name(r)
	spec.Looked = make(chan struct{})
	s := e.start(r, spec, spec.Meta)
	e.mu.Unlock()
	s.call(func() {})
	st := *s.status.Load()
	e.tell(Event{Kind: EventAdded, ID: st.ID, Status: &st})
	if st.State == Checking {
		select {
		case <-spec.Looked:
		case <-s.done:
		case <-time.After(lookPatience):
		}
		st = *s.status.Load()
	}
	if st.Refused {
		<-s.done
		return Status{}, st.Err
	}
	return st, nil
}

// lookPatience is how long Add waits for what may refuse the share.
const lookPatience = time.Second

// find is the entry that has one of the hashes. e.mu is held.
func (e *Engine) find(h metainfo.InfoHash) *entry {
	for _, n := range h.Wire() {
		if r := e.names[n]; r != nil {
			return r
		}
	}
	return nil
}

// addAgain is Add for a share that is here.
func (e *Engine) addAgain(r *entry, spec Spec) (Status, error) {
	if err := spec.Agrees(r.groups); err != nil {
		return Status{}, err
	}
	e.mu.Lock()
	if spec.Dir != r.row.Dir || spec.InPlace != r.row.InPlace && !(r.row.InPlace && !spec.InPlace) {
		dir := r.row.Dir
		e.mu.Unlock()
		return Status{}, fmt.Errorf("%w: %s", ErrElsewhere, dir)
	}
	if r.share == nil {
		r.row.Paused = false
		e.start(r, Spec{}, nil)
	}
	s := r.share
	e.mu.Unlock()
	var err error
	ok := s.call(func() {
		if s.meta != nil && len(spec.Select) > 0 && !files.Any(s.meta.Info, (&Spec{Select: spec.Select, InPlace: s.spec.InPlace}).Filter(s.meta.Info)) {
			err = ErrNoMatch
			return
		}
		s.addPeers(spec.Peers, candidates.FromPerson)
		s.addPeers(spec.Magnet.Peers, candidates.FromLink)
		s.again(spec.Peers)
		s.setPaused(false)
		if spec.Sequential {
			s.setSequential(true)
		}
		s.row.UpLimit, s.row.DownLimit = cmp.Or(spec.Up, s.row.UpLimit), cmp.Or(spec.Down, s.row.DownLimit)
		s.applyLimits()
		s.e.keep(s)
		if len(spec.Select) > 0 || len(s.spec.Select) > 0 {
			s.reselect(s.spec.Again(&spec))
		}
		s.dialSome()
		s.publish()
	})
	if !ok {
		err = errGone
	}
	if err != nil {
		return Status{}, err
	}
	return *s.status.Load(), nil
}

// described keeps the .torrent of a link whose info dictionary has come, under the ID
// that is known now.
func (e *Engine) described(s *Share, m *metainfo.Metainfo) error {
	id := m.Hash.ID()
	e.mu.Lock()
	defer e.mu.Unlock()
	old := s.row.ID
	r := e.shares[old]
	if r == nil {
		return ErrNotFound
	}
	for _, n := range m.Hash.Wire() { // each, for it may be here by one of them, and for others
		if other := e.names[n]; other != nil && other != r {
			return fmt.Errorf("this link leads to the share %s, which is here already", other.row.ID)
		}
	}
	s.hash = m.Hash
	s.row.Describe(m)
	r.hash, r.row = m.Hash, s.row
	e.name(r)
	if id != old {
		e.ways.Withdraw(old)
		delete(e.shares, old)
		e.shares[id] = r
		e.alias[old] = id
	}
	if err := store.SaveTorrent(e.torrents(), m, s.row); err != nil {
		return err
	}
	if err := e.cfg.Catalog.Put(s.row); err != nil || id == old {
		return err
	}
	e.saver.Forget(old)
	return e.cfg.Catalog.Remove(e.torrents(), old)
}

// keep writes the share's row.
func (e *Engine) keep(s *Share) {
	s.counters()
	e.mu.Lock()
	if r := e.shares[s.row.ID]; r != nil && r.share == s {
		r.row = s.row
	}
	e.mu.Unlock()
	s.offer()
	s.resume.dirty = true
	if s.meta == nil { // else it is kept with the progress
		if err := e.cfg.Catalog.Put(s.row); err != nil {
			e.tell(Event{Kind: EventNotice, ID: s.id(), Code: "catalog", Text: err.Error()})
		}
	}
}

// ended takes a share's loop out of the table; the entry stays.
func (e *Engine) ended(s *Share) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.shares[s.row.ID]
	if r == nil || r.share != s && r.share != nil {
		return
	}
	r.row = s.row
	r.status = s.status.Load()
	if r.share == s {
		r.share = nil
	}
}

// park ends the loop of a quiet share; an incoming connection, a command or a due
// announce starts it again.
func (s *Share) park() {
	s.stopping, s.parked = true, true
	e := s.e
	e.mu.Lock()
	if r := e.shares[s.row.ID]; r != nil && r.share == s {
		r.share = nil
		r.row = s.row
		r.status = s.status.Load()
		r.next = s.ann.Next()
	}
	e.mu.Unlock()
}

// attend starts parked shares whose trackers want to hear of them: at most one a second.
func (e *Engine) attend() {
	defer e.wg.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	busy := true // with the start
	for {
		select {
		case <-e.ctx.Done():
			return
		case now := <-t.C:
			if n := len(e.running()); n > 0 {
				busy = true
			} else if busy {
				busy = false
				debug.FreeOSMemory() // nothing runs: what the start or the last transfer needed goes back
			}
			e.mu.Lock()
			var due *entry
			for _, r := range e.shares {
				if r.share == nil && !r.row.Paused && !r.next.IsZero() && now.After(r.next) && (due == nil || r.next.Before(due.next)) {
					due = r
				}
			}
			if due != nil && !e.closed {
				e.start(due, Spec{}, nil)
			}
			e.mu.Unlock()
		}
	}
}

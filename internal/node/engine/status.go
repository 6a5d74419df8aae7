package engine

import (
	"shoal/internal/node/files"
	"shoal/internal/node/record"
)

func (e *Engine) tell(v Event) { e.cfg.Events(v) }

// setState changes the state and tells when it did.
func (s *Share) setState(st State) {
	if s.state == st && s.status.Load() != nil && s.status.Load().State == st {
		return
	}
	s.state = st
	s.seek()
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
	st := record.Base(s.row, s.hash)
	st.Complete = st.Complete && !s.asked
	st.State, st.Problem, st.Err, st.Checked = s.state, s.problem, s.failed, s.checked
	st.Refused = s.removed && s.failed != nil
	st.DownRate, st.UpRate = s.downMeter.Rate(), s.upMeter.Rate()
	st.Candidates = s.scout.Len()
	var now []Yield
	for _, c := range s.conns {
		if c != nil && c.up {
			st.Peers++
			now = append(now, Yield{Source: c.from, Bytes: c.blocksIn})
			if p := s.t.Peer(c.slot); p.Seed {
				st.Seeds++
			}
		}
	}
	st.Yield = s.scout.Yields(now)
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
		m := s.meta.Magnet()
		if !s.who.Public() {
			m.Trackers, m.WebSeeds = nil, nil // who gets the link is not to tell them
		}
		s.linkText = m.String()
	}
	return s.linkText
}

// progress counts what is verified of the wanted files.
func (s *Share) progress(st *Status) {
	info := s.meta.Info
	if s.wantedBytes < 0 {
		s.wantedBytes = files.Bytes(info, s.spec.Filter(info))
	}
	st.Bytes, st.Pieces, st.Wanted, st.Have, st.Done = info.Bytes(), info.NumPieces(), s.wantedBytes, s.t.HaveCount(), 0
	switch {
	case s.t.Info() != nil:
		st.Progress(info, st.Have, s.t.Needed(), s.allDone() && len(s.gone) == 0)
	case s.row.Complete: // as it was left: its files are being looked at just now
		st.Have, st.Done = st.Pieces, st.Wanted
	}
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

func (c *conn) source() Source { return Source{Addr: c.Addr, Client: c.Client(), Bytes: c.blocksIn} }

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

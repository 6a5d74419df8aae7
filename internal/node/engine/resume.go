package engine

import (
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/node/files"
)

// How often progress is kept. A piece that was verified less than saveTime before a
// kill is not lost either: its bytes are on the disk and hashed again at the next start.
const (
	saveTime = 2 * time.Second
	syncTime = 30 * time.Second
	// lastSyncTime bounds the flush when a share stops.
	lastSyncTime = 1500 * time.Millisecond
)

// resumeState is when what was last kept.
type resumeState struct {
	dirty  bool // pieces changed since the last save
	sent   bool // something was uploaded since: kept less often
	sync   bool // flush the files at the next save
	saved  time.Time
	synced time.Time
	bits   []byte // pieces that were there at the last flush
}

// save keeps progress when it is due: the bits are taken here, the rest is done off the
// loop.
func (s *Share) save(now time.Time) {
	r := &s.resume
	if !r.dirty && (!r.sent || now.Sub(r.saved) < syncTime) || s.saving || s.t.Info() == nil || s.content.Load() == nil || now.Sub(r.saved) < saveTime {
		return
	}
	flush := r.sync || now.Sub(r.synced) > syncTime
	r.dirty, r.sent, r.saved = false, false, now
	if flush {
		r.sync, r.synced = false, now
	}
	s.saving = true
	have := s.t.AppendBitfield(nil)
	content, synced := s.content.Load(), r.bits
	s.counters()
	row := s.row
	s.e.workers.Run(func() {
		var err error
		if flush {
			if err = content.Sync(s.ctx); err == nil {
				synced = have
			}
		}
		state := store.Resume{Boot: store.BootID(), Have: have, Synced: files.Both(synced, have), Files: content.Stats()}
		// By the loop: once that has ended, what it kept then is newer, or the share is gone.
		s.post(msg{kind: msgCall, call: func() {
			s.saving = false
			s.e.saver.Put(row, &state)
			if err != nil && s.ctx.Err() == nil {
				s.fail(err)
			} else if flush && err == nil {
				s.resume.bits = files.Both(have, s.t.AppendBitfield(nil))
			}
		}})
	})
}

// teardown is the last thing the loop does: connections end, work under way is waited
// for, progress is kept.
func (s *Share) teardown() {
	s.cancel()
	s.dropWaiting()
	for _, c := range s.conns {
		if c != nil {
			c.Shut()
		}
	}
	s.stopAnnouncer()
	s.drain()
	content := s.content.Load()
	if content != nil && s.t.Info() != nil && !s.removed && (!s.parked || s.resume.dirty || s.resume.sent) {
		have := s.t.AppendBitfield(nil)
		synced := s.resume.bits
		err, ended := files.LastSync(content, lastSyncTime)
		if ended && err == nil {
			synced = have
		}
		s.e.unsynced(err)
		s.counters()
		s.e.saver.Now(s.row, &store.Resume{Boot: store.BootID(), Have: have, Synced: files.Both(synced, have), Files: content.Stats()})
	}
	if content != nil {
		if s.removeData {
			s.kept, s.removeErr = content.Remove()
		}
		s.content.Store(nil)
		content.Close()
	}
	s.publish()
	if s.removed {
		s.e.forget(s)
		return
	}
	s.e.ended(s)
}

// unsynced remembers that files could not be flushed, for Close to tell.
func (e *Engine) unsynced(err error) {
	if err == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.syncErr == nil {
		e.syncErr = err
	}
}

// drain waits for connections and disk jobs to end, taking what they still bring.
func (s *Share) drain() {
	limit := time.NewTimer(2 * time.Second)
	defer limit.Stop()
	defer func() {
		s.intake.ForgetAll()
		s.e.nConns.Add(-int64(s.nConns)) // of those that did not end in time
	}()
	for s.nConns > 0 || s.intake.Busy() > 0 || s.work > 0 || s.saving {
		select {
		case m := <-s.inbox:
			switch m.kind {
			case msgBatch:
				m.b.Drop()
				m.c.Return(m.b)
			default:
				s.handle(m)
			}
			if len(s.in.List) > 0 {
				s.step(&s.in, nil, nil)
				s.in.Reset()
			}
			for _, slot := range s.vacated {
				s.conns[slot] = nil
			}
			s.vacated = s.vacated[:0]
		case <-limit.C:
			return
		}
	}
}

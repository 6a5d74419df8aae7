package engine

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/node/hashes"
	"shoal/internal/node/intake"
)

// begin is the first thing the loop does.
func (s *Share) begin() {
	s.begun = time.Now()
	s.rng = rand.New(rand.NewChaCha8(seed()))
	s.timer = time.NewTimer(time.Hour)
	s.nextTick = s.begun
	s.intake = intake.New(s.e.workers, pieceOwner{s})
	s.layers, s.server = hashes.NewLayers(hashed{s}), hashes.NewServer(hashed{s})
	s.totals.sources = make(map[netip.AddrPort]*source)
	s.cands = swarm.NewCandidates(s.rng)
	s.up.Set(s.row.UpLimit)
	s.down.Set(s.row.DownLimit)
	s.t = swarm.New(swarm.Config{InfoHash: s.hash.Wire()[0], Slots: s.e.cfg.Slots, Limited: s.limited()}, s.rng)
	s.t.Start(s.begun)
	s.paused = s.row.Paused
	s.wantedBytes = -1
	s.base = baseTotals{s.row.Downloaded, s.row.Uploaded, s.row.Wasted}
	s.state = Metadata
	s.addPeers(s.spec.Peers, swarm.FromPerson)
	s.addPeers(s.spec.Magnet.Peers, swarm.FromLink)
	s.startAnnouncer()
	if s.early != nil {
		s.fail(s.early)
	} else if s.meta != nil {
		s.open()
	} else if s.paused {
		s.setState(Paused)
	}
	s.publish()
}

func (s *Share) limited() bool { return s.up.On() || s.e.up.On() }

// metadataCame checks an info dictionary that peers sent and goes on with it.
func (s *Share) metadataCame(info []byte) {
	if !hashFits(s.hash, info) {
		s.event(swarm.Event{Kind: swarm.MetaBad, Peer: swarm.NoPeer})
		return
	}
	m, err := metainfo.ParseInfo(info, s.hash)
	if err != nil { // no other peer will have a better one
		s.fail(fmt.Errorf("%w: %w", ErrRefusedMeta, err))
		return
	}
	m.Trackers = s.trackers()
	m.WebSeeds = s.spec.Magnet.WebSeeds
	if err := s.e.described(s, m); err != nil {
		s.fail(err)
		return
	}
	s.meta = m
	if s.spec.Meta = m; len(s.spec.Select) > 0 && !anyWanted(&s.spec) {
		s.fail(ErrNoMatch)
		return
	}
	for _, c := range s.conns {
		if c != nil {
			c.Limit(m.Info.NumPieces())
		}
	}
	s.open()
}

// hashFits tells that the info dictionary is the one that was asked for.
func hashFits(h metainfo.InfoHash, info []byte) bool {
	return (!h.HasV1() || sha1.Sum(info) == h.V1) && (!h.HasV2() || sha256.Sum256(info) == h.V2)
}

// opened is what the goroutine that opens a share brings back.
type opened struct {
	content *store.Content
	have    []bool
	unknown []int // pieces with data that no known hash can judge
	err     error
}

// open looks at the disk, in a goroutine: it may have to hash a lot.
func (s *Share) open() {
	s.setState(Checking)
	meta, spec, old := s.meta, s.spec, s.content.Load()
	s.e.wg.Add(1)
	go func() {
		defer s.e.wg.Done()
		if old != nil {
			old.Close()
		}
		o := s.inspect(meta, spec)
		if !s.post(msg{kind: msgCall, call: func() { s.ready(o) }}) && o.content != nil {
			o.content.Close()
		}
	}()
}

// inspect opens the content and verifies what has to be.
func (s *Share) inspect(m *metainfo.Metainfo, spec Spec) (o opened) {
	resume, err := spec.Resume, error(nil)
	if resume == nil {
		resume, err = s.e.cfg.Catalog.LoadResume(s.id())
		if err != nil && !errors.Is(err, store.ErrResume) {
			return opened{err: err}
		}
	}
	n := m.Info.NumPieces()
	o.have = make([]bool, n)
	wanted := spec.wanted(m.Info)
	if !spec.InPlace {
		if err := os.MkdirAll(spec.Dir, 0o777); err != nil {
			o.err = err
			return o
		}
	}
	o.content, o.err = store.Open(m, spec.Dir, store.Options{InPlace: spec.InPlace, Base: spec.Base,
		Wanted: wanted, Parts: s.e.partsPath(s.id()), Handles: s.e.handles, Resume: resume})
	if o.err != nil {
		return o
	}
	trusted := o.content.Trusted()
	for p := range o.have {
		o.have[p] = p/8 < len(trusted) && trusted[p/8]&(0x80>>(p%8)) != 0
	}
	o.err = s.verifyRest(&o, trusted)
	if o.err != nil || spec.InPlace {
		return o
	}
	if o.err = conflict(o.content); o.err != nil {
		return o
	}
	if o.err = s.checkSpace(&o, m, wanted); o.err == nil {
		o.err = o.content.Prepare()
	}
	return o
}

// conflict tells that another file stands where one of the share belongs.
func conflict(content *store.Content) error {
	if c := content.Conflicts(); len(c) > 0 {
		return &store.Error{Op: "get", Path: c[0].Path, Kind: store.ErrExists}
	}
	return nil
}

// verifyRest hashes what is on the disk and not trusted.
func (s *Share) verifyRest(o *opened, trusted []byte) error {
	list := o.content.Unverified(trusted)
	if len(list) == 0 {
		return nil
	}
	checked := 0
	var told time.Time
	return o.content.Verify(s.ctx, list, 0, func(p int, v metainfo.Verdict) {
		o.have[p] = intake.Good(v)
		if v == (metainfo.Verdict{}) {
			o.unknown = append(o.unknown, p)
		}
		checked++
		if now := time.Now(); now.Sub(told) > 200*time.Millisecond {
			told = now
			part := float64(checked) / float64(len(list))
			go s.post(msg{kind: msgCall, call: func() { s.checked = part; s.publish() }})
		}
	})
}

// checkSpace refuses a fetch that would not leave the reserve.
func (s *Share) checkSpace(o *opened, m *metainfo.Metainfo, wanted func(int) bool) error {
	need := int64(0)
	for p, have := range o.have {
		if !have && pieceWanted(m.Info, p, wanted) {
			need += int64(m.Info.DataSize(p))
		}
	}
	if need == 0 {
		return nil
	}
	_, total, err := store.Free(s.spec.Dir)
	if err != nil {
		return err
	}
	return store.CheckSpace(s.spec.Dir, need, s.e.cfg.Reserve(total))
}

func pieceWanted(info *metainfo.Info, p int, wanted func(int) bool) bool {
	if wanted == nil {
		return true
	}
	off := int64(p) * info.PieceLength
	end := off + int64(info.PieceSize(p))
	for f := info.FileAt(off); f >= 0 && f < len(info.Files) && info.Files[f].Offset < end; f++ {
		if !info.Files[f].Pad && info.Files[f].Length > 0 && wanted(f) {
			return true
		}
	}
	return false
}

// ready goes on after open: the swarm learns what is there.
func (s *Share) ready(o opened) {
	if o.err != nil {
		if o.content != nil {
			o.content.Close()
		}
		s.fail(o.err)
		return
	}
	if s.stopping {
		o.content.Close()
		return
	}
	s.content.Store(o.content)
	wanted := s.spec.wanted(s.meta.Info)
	info := s.meta.Info
	s.countFiles(o.have, wanted)
	if s.t.Info() == nil {
		s.layers.Start(s.meta, o.unknown, wanted, s.t.HasAny)
		s.t.SetInfo(info, func(p int) bool { return o.have[p] }, func(p int) uint8 {
			if s.spec.InPlace || !pieceWanted(info, p, wanted) || s.layers.Blocks(p) {
				return 0
			}
			return 2
		})
	} else {
		for p, have := range o.have {
			s.correct(p, have)
		}
	}
	s.admit()
	if s.spec.Sequential {
		s.event(swarm.Event{Kind: swarm.SetSequential, N: 1})
	}
	if s.paused {
		s.event(swarm.Event{Kind: swarm.SetPaused, N: 1})
	}
	s.resume.dirty = true
	s.failed, s.problem = nil, ""
	s.lacking(o.have, wanted)
	s.settleState()
	for f := range info.Files {
		if s.left[f] == 0 {
			s.finishFile(f)
		}
	}
	s.completeIfDone()
	s.stillComplete()
	s.e.keep(s)
	s.dialSome()
}

// admit greets those who came while the disk was being looked at.
func (s *Share) admit() {
	waiting := s.waiting
	s.waiting = nil
	for _, c := range waiting {
		s.connUp(c)
	}
}

// correct tells the swarm that a piece is there, or is not, after a verification.
func (s *Share) correct(p int, have bool) {
	if have == s.t.Have(p) {
		return
	}
	kind := swarm.PieceLost
	if have {
		kind = swarm.PieceGood
	}
	s.event(swarm.Event{Kind: kind, Peer: swarm.NoPeer, P: uint32(p)})
}

// settleState derives the state from what is known.
func (s *Share) settleState() {
	switch {
	case s.failed != nil:
		s.setState(Failed)
	case s.paused:
		s.setState(Paused)
	case s.meta == nil:
		s.setState(Metadata)
	case s.content.Load() == nil:
		s.setState(Checking)
	case !s.row.Complete && !s.allDone():
		s.setState(Fetching)
	default:
		s.setState(Seeding)
	}
}

// fail stops the share because of the environment: connections end, data stays.
func (s *Share) fail(err error) {
	s.failed, s.problem = err, err.Error()
	if s.t.Info() != nil {
		s.event(swarm.Event{Kind: swarm.SetPaused, N: 1})
	}
	for _, c := range s.conns {
		if c != nil && c.up {
			c.Shut()
		}
	}
	s.dropWaiting()
	s.setState(Failed)
	s.retryAt = time.Now().Add(failRetry)
}

// dropWaiting ends connections that were not greeted yet.
func (s *Share) dropWaiting() {
	for _, c := range s.waiting {
		s.candDone(c.dialled, false)
		c.Shut()
	}
	s.waiting = nil
}

// failRetry is when a share that the environment stopped is tried again.
const failRetry = 10 * time.Second

package groups

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// A sync has four steps (docs/formats/group.md): who opened the stream says for each of
// the groups that it shares with the other what its heads are, and sends what it believes
// to be news; the other answers with its own heads and what is missing there; the opener
// sends what is missing here; the other says what it has now. Who does not know the opener
// as a member says `prove` instead, and nothing more unless the opener's list makes it one.

// Bounds of a sync.
const (
	syncTime  = 60 * time.Second
	lastTime  = time.Second // for telling a node that it was removed
	maxPushed = 64          // entries that are sent before the other was asked
	mergeTry  = 16
)

// task is what a sync is to do for one group.
type task struct {
	group group.ID
	push  [][]byte
	// What came of it:
	done  []group.Hash // the heads of the list that the other was told of
	heads []group.Hash // the other's; nil: not told
	no    bool         // the other does not take this node for a member
}

// initiate brings groups into step with a member.
func (s *Service) initiate(peer ident.NodeID, tasks []task, full bool) error {
	ctx, cancel := context.WithTimeout(s.ctx, syncTime)
	defer cancel()
	soon, end := context.WithTimeout(ctx, frameTime)
	defer end()
	st, err := s.cfg.Net.Open(soon, peer, SyncProtocol)
	if err != nil {
		return err
	}
	defer st.Close()
	defer s.closeWith(ctx, st)()
	f := frames{st}
	for i := range tasks {
		t := &tasks[i]
		m := message{group: t.group}
		if g := s.look().common(t.group, peer); g != nil {
			m.heads, m.entries = headsOf(g), t.push
			if full {
				m.contacts = s.contacts(t.group, peer)
			}
		}
		if err := s.writeMessage(f, &m, i, len(tasks)); err != nil {
			return err
		}
	}
	theirs := make([]message, len(tasks))
	for i := range tasks {
		if theirs[i], err = s.readAnswer(f, peer, tasks[i].group); err != nil {
			return err
		}
	}
	for i := range tasks {
		t := &tasks[i]
		m := message{group: t.group}
		if g := s.look().common(t.group, peer); g != nil {
			m.entries, _ = g.Since(theirs[i].heads) // who wants a proof told none: all
			t.done = headsOf(g)
		}
		if err := f.write(m.append(nil)); err != nil {
			return err
		}
	}
	for i := range tasks {
		m, err := s.readAnswer(f, peer, tasks[i].group)
		if err != nil {
			return err
		}
		tasks[i].heads, tasks[i].no = m.heads, m.prove
	}
	return nil
}

// writeMessage writes the i-th of the opener's first messages; the first comes after a byte
// that says how many there are.
func (s *Service) writeMessage(f frames, m *message, i, n int) error {
	if i == 0 {
		f.st.SetWriteDeadline(time.Now().Add(frameTime))
		if _, err := f.st.Write([]byte{byte(n)}); err != nil {
			return err
		}
	}
	return f.write(m.append(nil))
}

// readAnswer reads a message of one group from a member that answers, and takes in what it
// brings.
func (s *Service) readAnswer(f frames, peer ident.NodeID, id group.ID) (message, error) {
	m, err := s.readMessage(f, maxFrame)
	if err != nil {
		return m, err
	}
	if m.group != id {
		return m, errFrame
	}
	return m, s.take(peer, &m)
}

func (s *Service) readMessage(f frames, limit int) (message, error) {
	b, err := f.read(limit)
	if err != nil {
		return message{}, err
	}
	return parseMessage(b)
}

// take takes in what a member says of a group; what others say is passed over.
func (s *Service) take(peer ident.NodeID, m *message) error {
	if s.look().common(m.group, peer) == nil {
		return nil
	}
	if len(m.heads) > 0 { // noted first, so that what it has just told is not told to it
		if err := s.do(func() { s.has(peer, m.group, m.heads) }); err != nil {
			return err
		}
	}
	if err := s.merge(m.group, m.entries); err != nil {
		return err
	}
	return s.hear(m.group, m.contacts)
}

// merge adds entries to a group. They are judged on a copy, outside the owner: a list that
// is dear to judge holds up nobody else. Entries whose parents are missing, and those that
// a full list has no room for, are passed over; a wrong one is errWrong.
func (s *Service) merge(id group.ID, entries [][]byte) error {
	for range mergeTry {
		g := s.look().groups[id]
		if g == nil || len(entries) == 0 {
			return nil
		}
		next := g.Clone()
		wrong := add(next, entries)
		if next.Len() == g.Len() {
			return wrong
		}
		stale := false
		err := s.do(func() {
			if stale = s.look().groups[id] != g; !stale {
				s.commit(next, change{foreign: true})
			}
		})
		if err != nil || !stale {
			return errors.Join(err, wrong)
		}
	}
	return errBusy
}

// add adds entries until one is wrong.
func add(g *group.Group, entries [][]byte) error {
	for _, raw := range entries {
		switch _, err := g.Add(raw); {
		case err == nil, errors.Is(err, group.ErrParents):
		case errors.Is(err, group.ErrFull):
			return nil
		default:
			return errors.Join(errWrong, err)
		}
	}
	return nil
}

// prove judges the list of who is no member as far as is known here: if it makes it one, it
// is taken in; else nothing of it is.
func (s *Service) prove(ctx context.Context, peer ident.NodeID, m *message) error {
	select {
	case s.proofs <- struct{}{}:
		defer func() { <-s.proofs }()
	case <-ctx.Done():
		return errStranger
	}
	g := s.look().groups[m.group]
	if g == nil {
		return errStranger
	}
	if _, in := g.Member(s.me); !in {
		return errStranger
	}
	next := g.Clone()
	if add(next, m.entries) != nil {
		return errStranger
	}
	if _, in := next.Member(peer); !in {
		return errStranger
	}
	return s.merge(m.group, m.entries)
}

// HandleSync serves a stream of SyncProtocol that somebody opened, and closes it.
func (s *Service) HandleSync(st Stream) {
	defer st.Close()
	ctx, cancel := context.WithTimeout(s.ctx, syncTime)
	defer cancel()
	defer s.closeWith(ctx, st)()
	peer := st.Peer()
	member := s.Known(peer)
	if !s.syncs.enter(peer, member, time.Now()) {
		return
	}
	defer s.syncs.leave(peer, member)
	refused := false
	if s.do(func() { refused = s.blocked[peer].After(time.Now()) }) != nil || refused {
		return
	}
	if err := s.respond(ctx, frames{st}, peer, member); errors.Is(err, errWrong) {
		s.blame(peer, err)
	}
}

// respond is the other side of initiate.
func (s *Service) respond(ctx context.Context, f frames, peer ident.NodeID, member bool) error {
	hellos, err := s.readHellos(f, peer, member)
	if err != nil {
		return err
	}
	proving := make([]bool, len(hellos))
	for i := range hellos {
		m := s.state(hellos[i].group, peer, hellos[i].heads)
		if proving[i] = m.prove; !m.prove && hellos[i].full {
			m.contacts = s.contacts(m.group, peer)
		}
		if !m.prove { // what it has then
			hellos[i].heads = slices.Concat(hellos[i].heads, m.heads)
		}
		if err := f.write(m.append(nil)); err != nil {
			return err
		}
	}
	refuse := false
	for i := range hellos {
		m, err := s.readMessage(f, maxFrame)
		if err != nil {
			return err
		}
		if m.group != hellos[i].group {
			return errFrame
		}
		if !proving[i] {
			err = s.take(peer, &m)
		} else if s.prove(ctx, peer, &m) != nil {
			refuse = true
		}
		if err != nil {
			return err
		}
	}
	// Whether the group is unknown here or the list was no proof is not to be told apart.
	if refuse && !s.pause(ctx, refuseAfter) {
		return nil
	}
	told := make([]task, 0, len(hellos))
	for i := range hellos {
		m := s.state(hellos[i].group, peer, hellos[i].heads) // of entries those that came meanwhile
		if err := f.write(m.append(nil)); err != nil {
			return err
		}
		told = append(told, task{group: m.group, heads: m.heads, done: m.heads})
	}
	err = s.do(func() { s.toldBy(peer, told) })
	f.linger()
	return err
}

// hello is what is kept of an opener's first message.
type hello struct {
	group group.ID
	heads []group.Hash
	full  bool // it tells contacts and wants some
}

// readHellos reads the opener's first messages and takes in what members say in them.
func (s *Service) readHellos(f frames, peer ident.NodeID, member bool) ([]hello, error) {
	f.st.SetReadDeadline(time.Now().Add(frameTime))
	var n [1]byte
	if _, err := io.ReadFull(f.st, n[:]); err != nil {
		return nil, err
	}
	if n[0] == 0 || n[0] > MaxGroups {
		return nil, errFrame
	}
	limit := maxFrame
	if !member {
		limit = maxHello
	}
	hellos := make([]hello, 0, n[0])
	for range n[0] {
		m, err := s.readMessage(f, limit)
		if err != nil {
			return nil, err
		}
		// No group twice: each may cost a whole list.
		if slices.ContainsFunc(hellos, func(h hello) bool { return h.group == m.group }) {
			return nil, errFrame
		}
		if err := s.take(peer, &m); err != nil {
			return nil, err
		}
		hellos = append(hellos, hello{group: m.group, heads: m.heads, full: len(m.contacts) > 0})
	}
	return hellos, nil
}

// state is what a node with these heads is told of a group: the own heads and what it
// lacks, or, unless both are members, that it has to prove itself.
func (s *Service) state(id group.ID, peer ident.NodeID, heads []group.Hash) message {
	m := message{group: id, prove: true}
	if g := s.look().common(id, peer); g != nil {
		m.prove, m.heads = false, headsOf(g)
		m.entries, _ = g.Since(heads)
	}
	return m
}

// sayLast sends a node entries of a group in which the two are not members together any
// more: its removal, or that this node left. It tells whether the node has taken it in.
func (s *Service) sayLast(ctx context.Context, node ident.NodeID, id group.ID, entries [][]byte) bool {
	ctx, cancel := context.WithTimeout(ctx, lastTime)
	defer cancel()
	st, err := s.cfg.Net.Open(ctx, node, SyncProtocol)
	if err != nil {
		return false
	}
	defer st.Close()
	defer s.closeWith(ctx, st)()
	f := frames{st}
	m := message{group: id, entries: entries}
	if s.writeMessage(f, &m, 0, 1) != nil {
		return false
	}
	_, err = s.readMessage(f, maxFrame) // it answers when it has taken it in
	return err == nil
}

// lacks are the entries of a list that a connected node does not have, as far as is known.
// Owner only.
func (s *Service) lacks(node ident.NodeID, g *group.Group) [][]byte {
	p := s.peers[node]
	if p == nil {
		return nil
	}
	entries, _ := g.Since(p.heads[g.ID()])
	return entries
}

// same tells whether two lists have the same heads.
func same(a, b []group.Hash) bool { return len(a) > 0 && slices.Equal(a, b) }

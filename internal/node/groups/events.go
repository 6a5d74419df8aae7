package groups

import (
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	Joined        EventKind = iota + 1 // this node founded a group or was let in
	Left                               // this node left: end all that goes on in the group
	Expelled                           // this node was removed by another: the same
	MemberJoined                       // Node is a member; Code if it came with a ticket of this node
	MemberRemoved                      // Node is no member any more: end what goes on with it
	Misbehaved                         // Node sent what no honest member sends (Err) and was dropped
	Trouble                            // the disk did not take a change (Err)
)

// Event is something that a person or another room may want to know.
type Event struct {
	Kind     EventKind
	Group    group.ID
	Name     string // of the group: data from others
	Node     ident.NodeID
	NodeName string // data from others
	Code     string // what both sides of a join compare
	Err      error
}

// maxEvents is how many events wait for one who watches.
const maxEvents = 256

// watcher is one who watches. Its channel is closed by the owner alone.
type watcher struct{ c chan Event }

// Watch gives events until end is called. Who falls maxEvents behind finds the channel
// closed: it has missed something, watches anew and looks at the state (Known, Shared). The
// channel is closed at the end of the Service too.
func (s *Service) Watch() (events <-chan Event, end func()) {
	w := &watcher{make(chan Event, maxEvents)}
	if s.do(func() { s.watchers[w] = true }) != nil {
		close(w.c)
		return w.c, func() {}
	}
	return w.c, func() { s.do(func() { s.unwatch(w) }) }
}

func (s *Service) unwatch(w *watcher) {
	if s.watchers[w] {
		delete(s.watchers, w)
		close(w.c)
	}
}

func (s *Service) closeWatchers() {
	for w := range s.watchers {
		s.unwatch(w)
	}
}

// tell gives an event to all who watch. Owner only.
func (s *Service) tell(e Event) {
	for w := range s.watchers {
		select {
		case w.c <- e:
		default:
			s.unwatch(w)
		}
	}
}

// tellChanges tells how one state of a group differs from the one before; nil: there is
// none. code is that of the join that made the difference.
func (s *Service) tellChanges(was, now *group.Group, code string) {
	had, has := people(was), people(now)
	g := now
	if g == nil {
		g = was
	}
	e := Event{Group: g.ID(), Name: g.Name()}
	say := func(kind EventKind, p group.Person) {
		e.Kind, e.Node, e.NodeName = kind, p.Node, p.Name
		s.tell(e)
	}
	_, before := had[s.me]
	self, after := has[s.me]
	switch {
	case after && !before:
		say(Joined, self)
	case before && !after && (now == nil || now.Left(s.me)):
		say(Left, had[s.me])
	case before && !after:
		say(Expelled, had[s.me])
	}
	if was == nil || now == nil { // who is in a group that this node comes to or leaves is no news
		return
	}
	for _, p := range was.Members() {
		if _, in := has[p.Node]; !in && p.Node != s.me {
			say(MemberRemoved, p)
		}
	}
	for _, p := range now.Members() {
		if _, in := had[p.Node]; !in && p.Node != s.me && before {
			e.Code = code
			say(MemberJoined, p)
			e.Code = ""
		}
	}
}

// people are the members of a group by their names; of none: none.
func people(g *group.Group) map[ident.NodeID]group.Person {
	m := make(map[ident.NodeID]group.Person)
	if g != nil {
		for _, p := range g.Members() {
			m[p.Node] = p
		}
	}
	return m
}

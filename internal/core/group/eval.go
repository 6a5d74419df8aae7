package group

import (
	"cmp"
	"slices"

	"shoal/internal/core/ident"
)

// The rules by which entries become members. They look only at the set of entries, at
// who knew what (past) and, between entries whose authors knew nothing of each other, at
// heights and hashes, so that every node comes to the same members.
//
//  1. An entry counts if its author was an admin by what counts among the entries it
//     knew. Everybody may remove itself.
//  2. A removal takes effect also on what its author did not know: an admission counts
//     for nothing if a removal of its author counts and neither knew the other. A removed
//     admin cannot bring in anybody with an entry dated back.
//  3. Of two removals of each other's authors, neither knowing the other, that of the
//     senior counts: who was admitted at the lower height, then by the smaller hash.
//  4. A node is a member by an admission that counts unless a removal of it counts that
//     the admission's author did not know: removing wins, and whoever knows of a removal
//     can admit again.
//  5. Of several such admissions those count that no other one knew; among them the
//     fewest rights, then the smallest hash for the name.

// maxRounds bounds the search for a set of entries that agrees with itself: each round
// may show that an entry counted only through one that does not.
const maxRounds = 16

// state is what follows from entries.
type state struct{ people []Person }

// may tells whether a node may make an entry.
func (s *state) may(id ident.NodeID, e *Entry) bool {
	i := slices.IndexFunc(s.people, func(p Person) bool { return p.Node == id })
	return i >= 0 && (s.people[i].Rights == Admin || e.Kind == Remove && e.Node == id)
}

// evaluation is one run of the rules over some of the items. Sets of items are sets of
// bits, so that a list that was made to be dear to judge is still judged in time.
type evaluation struct {
	items    []*item
	within   set                   // the items that are looked at
	admits   map[ident.NodeID]*set // of these, foundings and admissions, by whom they are about
	removals map[ident.NodeID]*set
	counts   set
	void     set // by rules 2 and 3, of the round before
}

// evaluate finds the members that follow from the items within.
func (l *Log) evaluate(within set) state {
	ev := evaluation{items: l.items, within: within, admits: make(map[ident.NodeID]*set), removals: make(map[ident.NodeID]*set)}
	for i := range within.all {
		about, x := ev.admits, l.items[i]
		if x.Kind == Remove {
			about = ev.removals
		}
		if about[x.Node] == nil {
			about[x.Node] = new(set)
		}
		about[x.Node].add(i)
	}
	for range maxRounds {
		ev.authority()
		void := ev.voided()
		if void == ev.void {
			break
		}
		ev.void = void
	}
	return state{ev.people()}
}

// authority is rule 1.
func (ev *evaluation) authority() {
	ev.counts = set{}
	for i := range ev.within.all {
		x := ev.items[i]
		if ev.void.has(i) {
			continue
		}
		if x.Kind == Found {
			ev.counts.add(i)
			continue
		}
		by, ok := ev.member(x.author, &x.past)
		if ok && (by.Rights == Admin || x.Kind == Remove && x.author == x.Node) {
			ev.counts.add(i)
		}
	}
}

// member is rules 4 and 5 for one node, by what counts among the items known.
func (ev *evaluation) member(id ident.NodeID, known *set) (Person, bool) {
	admits := ev.admits[id]
	if admits == nil {
		return Person{}, false
	}
	standing := admits.and(&ev.counts).and(known)
	removals := set{}
	if r := ev.removals[id]; r != nil {
		removals = r.and(&ev.counts).and(known)
	}
	var x *item
	// Later ones first: what a later one knew is known to be outdated by it alone.
	for i, ok := standing.last(); ok; i, ok = standing.last() {
		standing.drop(i)
		y := ev.items[i]
		if !removals.within(&y.past) {
			continue
		}
		standing.dropAll(&y.past)
		if x == nil || cmp.Or(cmp.Compare(y.rights(), x.rights()), compare(y.hash, x.hash)) < 0 {
			x = y
		}
	}
	if x == nil {
		return Person{}, false
	}
	return Person{Node: id, Name: x.called(), Rights: x.rights(), By: x.author, Since: x.Time}, true
}

// rights are those that the item gives.
func (x *item) rights() Rights {
	if x.Kind == Found {
		return Admin
	}
	return x.Rights
}

// called is the name that the item gives to a member.
func (x *item) called() string {
	if x.Kind == Found {
		return founderName
	}
	return x.Name
}

// founderName is what a founder is called until an entry names it.
const founderName = "founder"

// voided is rules 2 and 3: which items do not count although their authors had the right.
func (ev *evaluation) voided() (void set) {
	var removals, standing []int
	for i := range ev.within.all {
		x := ev.items[i]
		if (ev.counts.has(i) || ev.void.has(i)) && x.Kind == Remove && x.author != x.Node {
			removals = append(removals, i)
		}
	}
	if len(removals) == 0 {
		return void
	}
	first := make(map[ident.NodeID]*item)
	for _, r := range removals {
		by := ev.items[r].author
		if _, known := first[by]; !known {
			first[by] = ev.first(by)
		}
	}
	slices.SortFunc(removals, func(a, b int) int {
		x, y := ev.items[a], ev.items[b]
		return cmp.Or(senior(first[x.author], first[y.author]), older(x, y))
	})
	strikes := func(r, i int) bool { // the removal r is of the author of i, and neither knew the other
		return ev.items[r].Node == ev.items[i].author && !ev.items[i].past.has(r) && !ev.items[r].past.has(i)
	}
	for _, r := range removals {
		if slices.ContainsFunc(standing, func(s int) bool { return strikes(s, r) }) {
			void.add(r)
			continue
		}
		if ev.counts.has(r) {
			standing = append(standing, r)
		}
	}
	for i := range ev.within.all {
		if ev.items[i].Kind == Admit && slices.ContainsFunc(standing, func(r int) bool { return strikes(r, i) }) {
			void.add(i)
		}
	}
	return void
}

// older compares by height, then by hash.
func older(x, y *item) int { return cmp.Or(cmp.Compare(x.height, y.height), compare(x.hash, y.hash)) }

// senior compares two nodes by their first admissions that count; nil: there is none.
func senior(x, y *item) int {
	switch {
	case x != nil && y != nil:
		return older(x, y)
	case x != nil:
		return -1
	case y != nil:
		return 1
	}
	return 0
}

// first is the lowest admission of a node that counts.
func (ev *evaluation) first(id ident.NodeID) (first *item) {
	if admits := ev.admits[id]; admits != nil {
		counting := admits.and(&ev.counts)
		for i := range counting.all {
			if x := ev.items[i]; first == nil || older(x, first) < 0 {
				first = x
			}
		}
	}
	return first
}

// people are all members, the oldest admission first.
func (ev *evaluation) people() []Person {
	type placed struct {
		Person
		first *item
	}
	var found []placed
	seen := make(map[ident.NodeID]bool, len(ev.admits))
	for i := range ev.within.all {
		id := ev.items[i].Node
		if seen[id] {
			continue
		}
		seen[id] = true
		if p, ok := ev.member(id, &ev.within); ok {
			found = append(found, placed{p, ev.first(id)})
		}
	}
	slices.SortFunc(found, func(a, b placed) int { return older(a.first, b.first) })
	people := make([]Person, len(found))
	for i, p := range found {
		people[i] = p.Person
	}
	return people
}

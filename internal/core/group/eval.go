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

// evaluation is one run of the rules over some of the items.
type evaluation struct {
	items  []*item
	in     []int                  // indices of the items that are looked at, parents first
	about  map[ident.NodeID][]int // of these, admissions and removals, by whom they are about
	counts []bool                 // by index
	void   []bool                 // by rules 2 and 3, of the round before
}

// evaluate finds the members that follow from the items within.
func (l *Log) evaluate(within func(i int) bool) state {
	ev := evaluation{items: l.items, about: make(map[ident.NodeID][]int), counts: make([]bool, len(l.items)), void: make([]bool, len(l.items))}
	for i, x := range l.items {
		if within(i) {
			ev.in = append(ev.in, i)
			ev.about[x.Node] = append(ev.about[x.Node], i)
		}
	}
	for range maxRounds {
		ev.authority()
		void := ev.voided()
		if slices.Equal(void, ev.void) {
			break
		}
		ev.void = void
	}
	return state{ev.people()}
}

// authority is rule 1.
func (ev *evaluation) authority() {
	clear(ev.counts)
	for _, i := range ev.in {
		x := ev.items[i]
		if ev.void[i] {
			continue
		}
		if x.Kind == Found {
			ev.counts[i] = true
			continue
		}
		by, ok := ev.member(x.author, func(j int) bool { return bit(x.past, j) })
		ev.counts[i] = ok && (by.Rights == Admin || x.Kind == Remove && x.author == x.Node)
	}
}

// member is rules 4 and 5 for one node, by what counts among the items known.
func (ev *evaluation) member(id ident.NodeID, known func(i int) bool) (Person, bool) {
	var standing []int
	for _, i := range ev.about[id] {
		if !ev.counts[i] || !known(i) || ev.items[i].Kind == Remove {
			continue
		}
		removed := slices.ContainsFunc(ev.about[id], func(j int) bool {
			return ev.items[j].Kind == Remove && ev.counts[j] && known(j) && !bit(ev.items[i].past, j)
		})
		if !removed {
			standing = append(standing, i)
		}
	}
	if len(standing) == 0 {
		return Person{}, false
	}
	// Later ones first: what a later one knew is known to be outdated by it alone.
	var best []int
	for _, i := range slices.Backward(standing) {
		if !slices.ContainsFunc(best, func(j int) bool { return bit(ev.items[j].past, i) }) {
			best = append(best, i)
		}
	}
	x := ev.items[slices.MinFunc(best, func(a, b int) int {
		return cmp.Or(cmp.Compare(ev.items[a].rights(), ev.items[b].rights()), compare(ev.items[a].hash, ev.items[b].hash))
	})]
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
func (ev *evaluation) voided() []bool {
	void := make([]bool, len(ev.items))
	var removals, standing []int
	for _, i := range ev.in {
		if ev.counts[i] || ev.void[i] {
			if ev.items[i].Kind == Remove && ev.items[i].author != ev.items[i].Node {
				removals = append(removals, i)
			}
		}
	}
	slices.SortFunc(removals, func(a, b int) int {
		x, y := ev.items[a], ev.items[b]
		return cmp.Or(ev.senior(x.author, y.author), cmp.Compare(x.height, y.height), compare(x.hash, y.hash))
	})
	strikes := func(r, i int) bool { // the removal r is of the author of i, and neither knew the other
		return ev.items[r].Node == ev.items[i].author && !bit(ev.items[i].past, r) && !bit(ev.items[r].past, i)
	}
	for _, r := range removals {
		if slices.ContainsFunc(standing, func(s int) bool { return strikes(s, r) }) {
			void[r] = true
			continue
		}
		if ev.counts[r] {
			standing = append(standing, r)
		}
	}
	for _, i := range ev.in {
		if ev.items[i].Kind == Admit {
			void[i] = slices.ContainsFunc(standing, func(r int) bool { return strikes(r, i) })
		}
	}
	return void
}

// senior compares two nodes by their first admissions that count.
func (ev *evaluation) senior(a, b ident.NodeID) int {
	x, y := ev.first(a), ev.first(b)
	switch {
	case x != nil && y != nil:
		return cmp.Or(cmp.Compare(x.height, y.height), compare(x.hash, y.hash))
	case x != nil:
		return -1
	case y != nil:
		return 1
	}
	return 0
}

// first is the lowest admission of a node that counts.
func (ev *evaluation) first(id ident.NodeID) (first *item) {
	for _, i := range ev.about[id] {
		x := ev.items[i]
		if ev.counts[i] && x.Kind != Remove &&
			(first == nil || cmp.Or(cmp.Compare(x.height, first.height), compare(x.hash, first.hash)) < 0) {
			first = x
		}
	}
	return first
}

// people are all members, the oldest admission first.
func (ev *evaluation) people() []Person {
	all := func(int) bool { return true }
	type placed struct {
		Person
		first *item
	}
	var found []placed
	for _, i := range ev.in {
		id := ev.items[i].Node
		if ev.about[id][0] != i { // each node once
			continue
		}
		if p, ok := ev.member(id, all); ok {
			found = append(found, placed{p, ev.first(id)})
		}
	}
	slices.SortFunc(found, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.first.height, b.first.height), compare(a.first.hash, b.first.hash))
	})
	people := make([]Person, len(found))
	for i, p := range found {
		people[i] = p.Person
	}
	return people
}

package group

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"shoal/internal/core/ident"
)

// MaxEntries is the most entries of one list: to judge them costs up to the square of it.
const MaxEntries = 1024

// removalRoom is how many of them are left for removals, so that a list that is nearly
// full can still end a membership: nodes make no admission that would take of it.
const removalRoom = 128

// Errors of adding an entry.
var (
	// ErrParents says that entries before this one have not come yet.
	ErrParents = errors.New("group: entries before this one are missing")
	// ErrRights says that the author had no right to it, by all that it knew itself. No
	// node takes such an entry.
	ErrRights = errors.New("group: only an admin may do that")
	// ErrFull says that the list has MaxEntries.
	ErrFull = errors.New("group: the member list is full")
)

// item is an entry in its place.
type item struct {
	Entry
	hash   Hash
	author ident.NodeID
	raw    []byte // the envelope
	height int    // length of the longest way to the founding
	past   set    // all entries that it knew
}

// Log is the member list of one group as far as it is known here. Any number of goroutines
// may read one that nobody changes; who wants to change it meanwhile changes a Clone.
type Log struct {
	id      ID
	items   []*item // as they came: parents first
	at      map[Hash]int
	heads   []Hash // entries that no other names, sorted
	state   state
	version int // grows with every change
}

// NewLog begins a list with its founding entry, whose hash is the group's ID.
func NewLog(founding []byte) (*Log, error) {
	x, err := parseItem(founding)
	if err != nil {
		return nil, err
	}
	if x.Kind != Found || x.author != x.Node {
		return nil, ErrEntry
	}
	l := &Log{id: ID(x.hash), at: make(map[Hash]int)}
	l.put(x)
	return l, nil
}

// Begin founds a group: it returns the founding entry for NewLog. nonce is 16 random bytes.
func Begin(key ident.Key, name string, nonce [nonceSize]byte, now int64) ([]byte, error) {
	e := Entry{Kind: Found, Node: key.ID(), Name: name, Time: now, Nonce: nonce[:]}
	return e.seal(key)
}

func (e *Entry) seal(key ident.Key) ([]byte, error) {
	if !e.fits() {
		return nil, ErrEntry
	}
	env := key.Seal(ident.GroupEntry, e.Payload())
	return env.Append(nil), nil
}

// parseItem reads an envelope, checks its signature and its entry.
func parseItem(raw []byte) (*item, error) {
	if len(raw) > maxEntry {
		return nil, ErrEntry
	}
	env, err := ident.ParseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	if err := env.Open(ident.GroupEntry); err != nil {
		return nil, err
	}
	e, err := parseEntry(env.Payload)
	if err != nil {
		return nil, err
	}
	return &item{Entry: e, hash: sha256.Sum256(raw), author: env.Author, raw: slices.Clone(raw)}, nil
}

// ID is the group's.
func (l *Log) ID() ID { return l.id }

// Name is the group's, as its founder gave it.
func (l *Log) Name() string { return l.items[0].Name }

// Founder is who founded the group.
func (l *Log) Founder() ident.NodeID { return l.items[0].author }

// Len is the number of entries.
func (l *Log) Len() int { return len(l.items) }

// Clone is a copy: what is added to one is not in the other.
func (l *Log) Clone() *Log {
	c := *l // items and states are never changed once they are made
	c.items, c.heads, c.at = slices.Clone(l.items), slices.Clone(l.heads), maps.Clone(l.at)
	return &c
}

// Left tells that a node is no member because it said so itself: the latest entry about
// it that counts for anything was its own.
func (l *Log) Left(id ident.NodeID) bool {
	var latest *item
	for _, x := range l.items {
		if x.Node == id && (latest == nil || older(latest, x) < 0) {
			latest = x
		}
	}
	_, member := l.Member(id)
	return !member && latest != nil && latest.Kind == Remove && latest.author == id
}

// Version grows whenever an entry is added.
func (l *Log) Version() int { return l.version }

// Add takes an entry that a peer sent or a file kept; false if it was here. An error
// means that the entry is not taken: ErrParents can be asked for again with what is
// missing, all others never become right.
func (l *Log) Add(raw []byte) (bool, error) {
	if _, here := l.at[sha256.Sum256(raw)]; here {
		return false, nil
	}
	if len(l.items) >= MaxEntries {
		return false, ErrFull
	}
	x, err := parseItem(raw)
	if err != nil {
		return false, err
	}
	if x.Kind == Found || x.Group != l.id {
		return false, fmt.Errorf("%w: of another group", ErrEntry)
	}
	for _, p := range x.Parents {
		if _, here := l.at[p]; !here {
			return false, ErrParents
		}
	}
	l.place(x)
	if !l.knewRight(x) {
		return false, ErrRights
	}
	l.put(x)
	return true, nil
}

// place finds the entry's height and past.
func (l *Log) place(x *item) {
	for _, p := range x.Parents {
		i := l.at[p]
		x.past.addAll(&l.items[i].past)
		x.past.add(i)
		x.height = max(x.height, l.items[i].height+1)
	}
}

// knewRight tells that the author had the right by all entries that it knew.
func (l *Log) knewRight(x *item) bool {
	s := l.state
	if x.past != upTo(len(l.items)) { // else it knew all that is here
		s = l.evaluate(x.past)
	}
	return s.may(x.author, &x.Entry)
}

// put keeps an entry that is right.
func (l *Log) put(x *item) {
	l.at[x.hash] = len(l.items)
	l.items = append(l.items, x)
	l.heads = slices.DeleteFunc(l.heads, func(h Hash) bool { return slices.Contains(x.Parents, h) })
	i, _ := slices.BinarySearchFunc(l.heads, x.hash, compare[Hash])
	l.heads = slices.Insert(l.heads, i, x.hash)
	l.version++
	l.state = l.evaluate(upTo(len(l.items)))
}

// Heads are the entries that no other names: who has the same heads has the same list.
func (l *Log) Heads() []Hash { return slices.Clone(l.heads) }

// Entries are all entries, each after those that it names.
func (l *Log) Entries() [][]byte {
	all := make([][]byte, len(l.items))
	for i, x := range l.items {
		all[i] = x.raw
	}
	return all
}

// Since are the entries that somebody with these heads lacks, each after those that it
// names; known tells that all of the heads are here. Heads that are not are passed over.
func (l *Log) Since(heads []Hash) (lacks [][]byte, known bool) {
	var has set
	known = true
	for _, h := range heads {
		i, here := l.at[h]
		if !here {
			known = false
			continue
		}
		has.add(i)
		has.addAll(&l.items[i].past)
	}
	for i, x := range l.items {
		if !has.has(i) {
			lacks = append(lacks, x.raw)
		}
	}
	return lacks, known
}

// Admit makes the entry that admits a node, or changes its rights or name. It is not
// added: Add does.
func (l *Log) Admit(key ident.Key, node ident.NodeID, name string, rights Rights, now int64) ([]byte, error) {
	return l.make(key, Entry{Kind: Admit, Node: node, Name: name, Rights: rights, Time: now})
}

// Remove makes the entry that removes a node; of the key's own node it is leaving.
func (l *Log) Remove(key ident.Key, node ident.NodeID, now int64) ([]byte, error) {
	return l.make(key, Entry{Kind: Remove, Node: node, Time: now})
}

func (l *Log) make(key ident.Key, e Entry) ([]byte, error) {
	e.Group = l.id
	// More heads than an entry can name: the rest is named by a later one.
	e.Parents = slices.Clone(l.heads[:min(len(l.heads), maxParents)])
	raw, err := e.seal(key)
	if err != nil {
		return nil, err
	}
	if !l.state.may(key.ID(), &e) {
		return nil, ErrRights
	}
	if e.Kind == Admit && len(l.items) >= MaxEntries-removalRoom {
		return nil, ErrFull
	}
	return raw, nil
}

// Person is a member of a group.
type Person struct {
	Node   ident.NodeID
	Name   string // what who admitted it called it: data from others
	Rights Rights
	By     ident.NodeID // who admitted it; the founder: itself
	Since  int64        // unix seconds by that node's clock
}

// Members are all members, the oldest admission first.
func (l *Log) Members() []Person { return slices.Clone(l.state.people) }

// Member tells whether a node is a member, and what it may.
func (l *Log) Member(id ident.NodeID) (Person, bool) {
	i := slices.IndexFunc(l.state.people, func(p Person) bool { return p.Node == id })
	if i < 0 {
		return Person{}, false
	}
	return l.state.people[i], true
}

package group

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"shoal/internal/core/bencode"
	"shoal/internal/core/ident"
)

// ID names a group: the hash of its founding entry.
type ID [sha256.Size]byte

// String is the ID in hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(ID{}) || s != strings.ToLower(s) {
		return ID{}, fmt.Errorf("group: %q is no group id", s)
	}
	return ID(b), nil
}

// Hash names an entry: SHA-256 of its envelope's bytes.
type Hash [sha256.Size]byte

// Rights say what a member may do.
type Rights uint8

// The rights. An admin invites, admits and removes; a member may only leave.
const (
	Member Rights = 1
	Admin  Rights = 2
)

// String is the word for the rights.
func (r Rights) String() string {
	if r == Admin {
		return "admin"
	}
	return "member"
}

// Kind says what an entry does.
type Kind uint8

// The kinds of entries.
const (
	Found  Kind = 0 // begins the list: the author is the first admin
	Admit  Kind = 1 // makes a node a member, or changes its rights or name
	Remove Kind = 2 // ends a membership; of oneself: leaves
)

// Bounds on what an entry holds.
const (
	MaxName    = 64 // bytes of the name of a group or a member
	maxParents = 16
	nonceSize  = 16
	maxEntry   = 960     // bytes of an envelope: a whole list fits into 1 MiB
	maxTime    = 1 << 40 // seconds since 1970, some 35,000 years
)

// ErrEntry says that bytes are no entry of a member list.
var ErrEntry = errors.New("group: not an entry of a member list")

// Entry is one entry of a member list.
type Entry struct {
	Kind    Kind
	Group   ID           // zero in Found, whose hash it is
	Node    ident.NodeID // whom it is about; in Found the founder
	Name    string       // Found: of the group. Admit: what the member is called
	Rights  Rights       // Admit
	Parents []Hash       // the entries without successors that the author knew, sorted
	Time    int64        // unix seconds by the author's clock: shown, decides nothing
	Nonce   []byte       // Found: 16 random bytes, so that no two groups are one
}

// Payload is what is signed: a dictionary of g, k, m (node), n (name), p, r, t and x
// (nonce), each only where the kind has it.
func (e *Entry) Payload() []byte {
	b := []byte{'d'}
	key := func(k byte) { b = append(b, '1', ':', k) }
	if e.Kind != Found {
		key('g')
		b = bencode.AppendString(b, e.Group[:])
	}
	key('k')
	b = bencode.AppendInt(b, int64(e.Kind))
	key('m')
	b = bencode.AppendString(b, e.Node[:])
	if e.Kind != Remove {
		key('n')
		b = bencode.AppendString(b, e.Name)
	}
	if e.Kind != Found {
		key('p')
		b = append(b, 'l')
		for _, p := range e.Parents {
			b = bencode.AppendString(b, p[:])
		}
		b = append(b, 'e')
	}
	if e.Kind == Admit {
		key('r')
		b = bencode.AppendInt(b, int64(e.Rights))
	}
	key('t')
	b = bencode.AppendInt(b, e.Time)
	if e.Kind == Found {
		key('x')
		b = bencode.AppendString(b, e.Nonce)
	}
	return append(b, 'e')
}

// parseEntry reads what Payload wrote, and nothing else.
func parseEntry(payload []byte) (Entry, error) {
	v, err := bencode.Parse(payload, bencode.Limits{Depth: 3, Tokens: 64})
	if err != nil || v.Kind() != bencode.Dict {
		return Entry{}, ErrEntry
	}
	var e Entry
	kind, _ := v.Get("k").Int()
	rights, _ := v.Get("r").Int()
	e.Kind, e.Rights = Kind(kind&0xff), Rights(rights&0xff)
	e.Time, _ = v.Get("t").Int()
	g, _ := v.Get("g").Bytes()
	copy(e.Group[:], g)
	m, _ := v.Get("m").Bytes()
	e.Node, _ = ident.NodeIDOf(m)
	name, _ := v.Get("n").Bytes()
	e.Name = string(name)
	nonce, _ := v.Get("x").Bytes()
	e.Nonce = bytes.Clone(nonce)
	for p := range v.Get("p").Items() {
		b, _ := p.Bytes()
		if len(b) != len(Hash{}) {
			return Entry{}, ErrEntry
		}
		e.Parents = append(e.Parents, Hash(b))
	}
	// Whatever is missing, too much, out of order or cut comes out otherwise than it went in.
	if !e.fits() || !bytes.Equal(e.Payload(), payload) {
		return Entry{}, ErrEntry
	}
	return e, nil
}

// fits tells that every value is within its bounds.
func (e *Entry) fits() bool {
	if e.Node.IsZero() || e.Time < 0 || e.Time > maxTime || !NameFits(e.Name) && e.Kind != Remove {
		return false
	}
	if e.Kind == Found {
		return len(e.Nonce) == nonceSize
	}
	sorted := len(e.Parents) > 0 && len(e.Parents) <= maxParents
	for i := 1; i < len(e.Parents); i++ {
		sorted = sorted && compare(e.Parents[i-1], e.Parents[i]) < 0
	}
	return sorted && (e.Kind == Remove || e.Kind == Admit && (e.Rights == Member || e.Rights == Admin))
}

// NameFits tells whether a text may be the name of a group or a member: 1 to MaxName
// bytes of UTF-8 without control characters, no blank at either end. How it is shown
// safely is the matter of who shows it.
func NameFits(s string) bool {
	return s != "" && len(s) <= MaxName && utf8.ValidString(s) && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 })
}

func compare[T ~[32]byte](a, b T) int { return slices.Compare(a[:], b[:]) }

package metainfo

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"strings"
	"unicode/utf8"

	"shoal/internal/core/bencode"
)

// maxCreated is the last second of the year 9999: what is later cannot be written as a date (RFC 3339).
const maxCreated = 253402300799

var parseLimits = bencode.Limits{Depth: maxNesting, Tokens: maxTokens}

// Parse judges a .torrent file. It is strict as the package says; every refusal is an *Error. A newline after the end is
// accepted. The result is a view that keeps b: the caller must not change it afterwards.
func Parse(b []byte) (*Metainfo, error) {
	m, err := ParseIncomplete(b)
	if err != nil {
		return nil, err
	}
	if missing := m.MissingLayers(); len(missing) > 0 {
		return nil, refuse("the piece layer of %.64q is missing", strings.Join(m.Info.Files[missing[0]].Path, "/"))
	}
	return m, nil
}

// ParseIncomplete is Parse for a .torrent that Bytes wrote while piece layers were missing, as after a magnet link: what
// layers it has are verified, the others are reported by MissingLayers.
func ParseIncomplete(b []byte) (*Metainfo, error) {
	if len(b) > MaxSize {
		return nil, refuse("%d bytes are more than the %d that metainfo may have", len(b), MaxSize)
	}
	doc := bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	top, err := bencode.Parse(doc, parseLimits)
	if err != nil {
		return nil, &Error{Reason: "not a .torrent file", Err: err}
	}
	if top.Kind() != bencode.Dict {
		return nil, refuse("not a .torrent file: it is %s, not a dictionary", a(top.Kind()))
	}
	return parseTop(top, b)
}

// ParseInfo judges an info dictionary that came from a peer (BEP 9), and that it is the one wanted: every hash that is
// known in want must match. Piece layers are missing at first. The result keeps info.
func ParseInfo(info []byte, want InfoHash) (*Metainfo, error) {
	if len(info) > MaxSize {
		return nil, refuse("an info dictionary of %d bytes is larger than %d", len(info), MaxSize)
	}
	if want.HasV1() && sha1.Sum(info) != want.V1 || want.HasV2() && sha256.Sum256(info) != want.V2 {
		return nil, refuse("the info dictionary does not have the hash that was asked for")
	}
	v, err := bencode.Parse(info, parseLimits)
	if err != nil {
		return nil, &Error{Reason: "not an info dictionary", Err: err}
	}
	m, err := parseInfoDict(v)
	if err != nil {
		return nil, err
	}
	if missing := want.Version &^ m.Hash.Version; missing != 0 {
		return nil, refuse("the link is to a %s share, but this one is %s", want.Version, m.Hash.Version)
	}
	return m, nil
}

// topKeys are the values of a .torrent's outer dictionary that mean something here.
type topKeys struct {
	info, layers, announce, announceList, urlList bencode.Value
	comment, comment8, createdBy, created         bencode.Value
	groups                                        bencode.Value
}

func parseTop(top bencode.Value, raw []byte) (*Metainfo, error) {
	var k topKeys
	if err := readFields(top, []field{
		{"info", bencode.Dict, &k.info},
		{"piece layers", bencode.Dict, &k.layers},
		{"announce", bencode.String, &k.announce},
		{"announce-list", bencode.List, &k.announceList},
		{"url-list", anyKind, &k.urlList},
		{"comment", bencode.String, &k.comment},
		{"comment.utf-8", bencode.String, &k.comment8},
		{"created by", bencode.String, &k.createdBy},
		{"creation date", bencode.Int, &k.created},
		{groupsKey, bencode.List, &k.groups},
	}); err != nil {
		return nil, err
	}
	if k.info.Kind() == bencode.Invalid {
		return nil, refuse("the key info is missing")
	}
	m, err := parseInfoDict(k.info)
	if err != nil {
		return nil, err
	}
	m.raw = raw
	if err := m.readTrackers(k.announce, k.announceList); err != nil {
		return nil, err
	}
	if err := m.readWebSeeds(k.urlList); err != nil {
		return nil, err
	}
	if m.Groups, err = parseGroups(k.groups); err != nil {
		return nil, err
	}
	m.Comment, m.CreatedBy = text(k.comment8), text(k.createdBy)
	if m.Comment == "" {
		m.Comment = text(k.comment)
	}
	if when, _ := k.created.Int(); when > 0 && when <= maxCreated {
		m.Created = when
	}
	return m, m.readLayers(k.layers)
}

// field is a key that means something here: what kind its value must be, and where that goes.
type field struct {
	key  string
	kind bencode.Kind
	to   *bencode.Value
}

// anyKind stands in a field whose value is judged later.
const anyKind = bencode.Invalid

// readFields collects the fields of a dictionary in one pass. Other keys are not looked at. It is called for every file
// of a share, and written so that nothing of a field escapes to the heap: no closure of Pairs, no field's key in an error.
func readFields(dict bencode.Value, fields []field) error {
	c := dict.Cursor()
	for c.Enter(); c.More(); {
		key, v := c.Key(), c.Value()
		for n := range fields {
			f := &fields[n]
			if string(key) != f.key {
				continue
			}
			if f.kind != anyKind && f.kind != v.Kind() {
				_, err := typed(v, f.kind, string(key))
				return err
			}
			*f.to = v
		}
	}
	return nil
}

// typed returns v if it is of the kind, and otherwise refuses the key.
func typed(v bencode.Value, kind bencode.Kind, key string) (bencode.Value, error) {
	if v.Kind() != kind {
		return v, refuse("the key %s is %s, not %s", key, a(v.Kind()), a(kind))
	}
	return v, nil
}

// a names a kind with its article.
func a(kind bencode.Kind) string {
	if kind == bencode.Int {
		return "an " + kind.String()
	}
	return "a " + kind.String()
}

// text returns a string for people. Bytes that are not UTF-8 become the replacement character.
func text(v bencode.Value) string {
	b, _ := v.Bytes()
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// readTrackers reads tiers as BEP 12 says: where there is an announce-list, announce is not looked at.
func (m *Metainfo) readTrackers(announce, list bencode.Value) error {
	seen := make(map[string]struct{})
	for tier := range list.Items() {
		if _, err := typed(tier, bencode.List, "announce-list, in one tier,"); err != nil {
			return err
		}
		var urls []string
		for u := range tier.Items() {
			if _, err := typed(u, bencode.String, "announce-list, in one URL,"); err != nil {
				return err
			}
			urls = appendURL(urls, u, seen)
		}
		if len(urls) > 0 {
			m.Trackers = append(m.Trackers, urls)
		}
	}
	if len(m.Trackers) == 0 {
		if urls := appendURL(nil, announce, seen); len(urls) > 0 {
			m.Trackers = [][]string{urls}
		}
	}
	return nil
}

// readWebSeeds reads url-list, a string or a list of them (BEP 19).
func (m *Metainfo) readWebSeeds(list bencode.Value) error {
	seen := make(map[string]struct{})
	switch list.Kind() {
	case bencode.Invalid:
	case bencode.String:
		m.WebSeeds = appendURL(nil, list, seen)
	case bencode.List:
		for u := range list.Items() {
			if _, err := typed(u, bencode.String, "url-list, in one URL,"); err != nil {
				return err
			}
			m.WebSeeds = appendURL(m.WebSeeds, u, seen)
		}
	default:
		return refuse("the key url-list is %s, not a string or a list", a(list.Kind()))
	}
	return nil
}

// appendURL appends a URL that is new and can be one: not empty, not too long, without control characters. Whether its
// scheme and host may be contacted is judged by who contacts them.
func appendURL(urls []string, v bencode.Value, seen map[string]struct{}) []string {
	b, _ := v.Bytes()
	if b = bytes.TrimSpace(b); !usableURL(b) || len(seen) >= MaxURLs {
		return urls
	}
	if _, ok := seen[string(b)]; ok {
		return urls
	}
	u := string(b)
	seen[u] = struct{}{}
	return append(urls, u)
}

func usableURL[T ~string | ~[]byte](b T) bool {
	for _, c := range []byte(b) {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxURL && utf8.ValidString(string(b))
}

package metainfo

import (
	"encoding/base32"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Limits of a magnet link.
const (
	maxMagnet = 256 << 10      // bytes
	maxPeers  = 100            // x.pe that are kept
	maxSelect = 2*MaxFiles - 1 // greatest file index
)

// Range is a run of file indices, both ends included. Indices count the list of the metainfo, pads too (BEP 53).
type Range struct{ First, Last int }

// Magnet is what a magnet link says (BEP 9, 53). All of it but the hash is a hint from whoever made the link.
type Magnet struct {
	Hash     InfoHash
	Name     string // dn: as given, for showing; it is no file name
	Trackers []string
	WebSeeds []string
	Peers    []string   // x.pe: host:port, where peers may be met at once
	Groups   [][32]byte // x.group: who may know of the share; none means all
	Select   []Range    // so: the files wanted, sorted and apart from each other; none means all
}

// Magnet returns the link to a share.
func (m *Metainfo) Magnet() Magnet {
	name := m.Info.Name
	if m.Info.RawName != "" {
		name = m.Info.RawName
	}
	return Magnet{Hash: m.Hash, Name: name, Trackers: slices.Concat(m.Trackers...), WebSeeds: m.WebSeeds, Groups: m.Groups}
}

// ParseInfoHash reads an info hash as people write it: 40 hex digits or 32 base32 characters for v1, 64 hex digits, or
// those with the multihash prefix 1220, for v2. Letter case does not matter.
func ParseInfoHash(s string) (InfoHash, error) {
	if len(s) == 68 && s[:4] == "1220" {
		s = s[4:]
	}
	var h InfoHash
	var err error
	switch len(s) {
	case 40:
		h.Version = V1
		_, err = hex.Decode(h.V1[:], []byte(s))
	case 32:
		h.Version = V1
		var n int // newlines and padding are no error to Decode
		if n, err = base32.StdEncoding.Decode(h.V1[:], []byte(strings.ToUpper(s))); n != len(h.V1) {
			err = base32.CorruptInputError(n)
		}
	case 64:
		h.Version = V2
		_, err = hex.Decode(h.V2[:], []byte(s))
	default:
		return InfoHash{}, refuse("%.80q is not an info hash: it has %d characters", s, len(s))
	}
	if err != nil {
		return InfoHash{}, refuse("%.80q is not an info hash", s)
	}
	return h, nil
}

// ParseMagnet reads a magnet link. Every refusal is an *Error. Parameters that are not known are ignored, and so are
// topics that are no info hash, as long as there is one that is.
func ParseMagnet(s string) (Magnet, error) {
	const scheme = "magnet:?"
	if len(s) > maxMagnet {
		return Magnet{}, refuse("a link of %d bytes is longer than %d", len(s), maxMagnet)
	}
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return Magnet{}, refuse("%.40q is not a magnet link", s)
	}
	var m Magnet
	for param := range strings.SplitSeq(s[len(scheme):], "&") {
		key, value, _ := strings.Cut(param, "=")
		key, err := unescape(key, false)
		if err != nil {
			return Magnet{}, err
		}
		if value, err = unescape(value, key == "dn"); err != nil {
			return Magnet{}, err
		}
		if err := m.set(key, value); err != nil {
			return Magnet{}, err
		}
	}
	if m.Hash.Version == 0 {
		return Magnet{}, refuse("the link has no info hash (xt=urn:btih: or xt=urn:btmh:)")
	}
	m.Select = mergeRanges(m.Select)
	return m, nil
}

// set takes one parameter. Keys may be numbered, as in tr.1 and x.pe.1.
func (m *Magnet) set(key, value string) error {
	key = strings.ToLower(key)
	if dot := strings.LastIndexByte(key, '.'); dot >= 0 && dot+1 < len(key) && strings.Trim(key[dot+1:], "0123456789") == "" {
		key = key[:dot]
	}
	switch key {
	case "xt":
		return m.setTopic(value)
	case "dn":
		if m.Name == "" {
			m.Name = value
		}
	case "tr":
		m.Trackers = appendParam(m.Trackers, value, MaxURLs)
	case "ws":
		m.WebSeeds = appendParam(m.WebSeeds, value, MaxURLs)
	case "x.pe":
		if !isHostPort(value) {
			return refuse("the peer address %.80q in the link is not host:port", value)
		}
		m.Peers = appendParam(m.Peers, value, maxPeers)
	case "x.group":
		return m.setGroup(value)
	case "so":
		return m.setSelect(value)
	}
	return nil
}

// setTopic takes an exact topic: btih is v1, btmh is the multihash of v2 (BEP 9).
func (m *Magnet) setTopic(topic string) error {
	const btih, btmh = "urn:btih:", "urn:btmh:"
	if len(topic) < len(btih) {
		return nil
	}
	urn, value := strings.ToLower(topic[:len(btih)]), topic[len(btih):]
	if urn != btih && urn != btmh {
		return nil
	}
	if urn == btih && len(value) != 40 && len(value) != 32 || urn == btmh && (len(value) != 68 || value[:4] != "1220") {
		return refuse("%.100q in the link is not an info hash", topic)
	}
	h, err := ParseInfoHash(value)
	if err != nil {
		return err
	}
	if m.Hash.HasV1() && h.HasV1() && m.Hash.V1 != h.V1 || m.Hash.HasV2() && h.HasV2() && m.Hash.V2 != h.V2 {
		return refuse("the link names two different shares")
	}
	if h.HasV1() {
		m.Hash.V1 = h.V1
	} else {
		m.Hash.V2 = h.V2
	}
	m.Hash.Version |= h.Version
	return nil
}

func (m *Magnet) setSelect(list string) error {
	ranges, err := ParseRanges(list)
	m.Select = append(m.Select, ranges...)
	return err
}

// ParseRanges reads a list of file indices such as 0,2,4,6-8 (BEP 53).
func ParseRanges(list string) (ranges []Range, err error) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			to = from
		}
		first, ok1 := fileIndex(from)
		last, ok2 := fileIndex(to)
		if !ok1 || !ok2 || first > last {
			return nil, refuse("%.40q in the link does not select files", part)
		}
		ranges = append(ranges, Range{first, last})
	}
	return ranges, nil
}

// AppendRanges writes what ParseRanges reads.
func AppendRanges(b []byte, ranges []Range) []byte {
	for i, r := range ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(r.First), 10)
		if r.Last > r.First {
			b = strconv.AppendInt(append(b, '-'), int64(r.Last), 10)
		}
	}
	return b
}

func fileIndex(s string) (int, bool) {
	if s == "" || len(s) > 6 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n <= maxSelect
}

// mergeRanges sorts ranges and joins those that touch, so that a link has one form.
func mergeRanges(r []Range) []Range {
	slices.SortFunc(r, func(a, b Range) int { return a.First - b.First })
	kept := r[:0]
	for _, x := range r {
		if n := len(kept); n > 0 && x.First <= kept[n-1].Last+1 {
			kept[n-1].Last = max(kept[n-1].Last, x.Last)
			continue
		}
		kept = append(kept, x)
	}
	return kept
}

// appendParam appends what is new, usable and within the limit.
func appendParam(list []string, value string, limit int) []string {
	value = strings.TrimSpace(value)
	if !usableURL(value) || len(list) >= limit || slices.Contains(list, value) {
		return list
	}
	return append(list, value)
}

// isHostPort tells whether s can be host:port, IPv4:port or [IPv6]:port. Names are not looked at further.
func isHostPort(s string) bool {
	colon := strings.LastIndexByte(s, ':')
	if colon < 1 || len(s) > 300 {
		return false
	}
	host, port := s[:colon], s[colon+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(inner, ":") {
			return false
		}
		host = inner
	} else if strings.Contains(host, ":") {
		return false
	}
	for _, c := range []byte(host) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("[]/\\?#@\"<>", c) >= 0 {
			return false
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0' && host != ""
}

// String writes the link in its one form: hashes in hex, then dn, tr, ws, x.pe, x.group and so.
func (m Magnet) String() string {
	b := []byte("magnet:?")
	if m.Hash.HasV1() {
		b = append(b, "xt=urn:btih:"...)
		b = append(hex.AppendEncode(b, m.Hash.V1[:]), '&')
	}
	if m.Hash.HasV2() {
		b = append(b, "xt=urn:btmh:1220"...)
		b = append(hex.AppendEncode(b, m.Hash.V2[:]), '&')
	}
	if m.Name != "" {
		b = appendEscaped(b, "dn", m.Name)
	}
	for _, u := range m.Trackers {
		b = appendEscaped(b, "tr", u)
	}
	for _, u := range m.WebSeeds {
		b = appendEscaped(b, "ws", u)
	}
	for _, p := range m.Peers {
		b = appendEscaped(b, "x.pe", p)
	}
	for _, g := range m.Groups {
		b = append(b, "x.group="...)
		b = append(hex.AppendEncode(b, g[:]), '&')
	}
	if len(m.Select) > 0 {
		b = AppendRanges(append(b, "so="...), m.Select)
	}
	return strings.TrimRight(string(b), "&") // no value ends with what separates
}

// appendEscaped appends key=value&. All but unreserved characters are escaped, and the few that make addresses
// readable: they end no value in a URI.
func appendEscaped(b []byte, key, value string) []byte {
	b = append(append(b, key...), '=')
	for _, c := range []byte(value) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if letter || strings.IndexByte("-._~", c) >= 0 || key == "x.pe" && strings.IndexByte(":[]", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return append(b, '&')
}

// unescape undoes %XX. A plus is a space only where people write text.
func unescape(s string, plus bool) (string, error) {
	if strings.IndexByte(s, '%') < 0 && !(plus && strings.IndexByte(s, '+') >= 0) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for at := 0; at < len(s); at++ {
		c := s[at]
		switch {
		case c == '%':
			if at+2 >= len(s) {
				return "", refuse("the link ends inside an escape")
			}
			n, err := hex.DecodeString(s[at+1 : at+3])
			if err != nil {
				return "", refuse("%.10q in the link is not an escape", s[at:])
			}
			c = n[0]
			at += 2
		case c == '+' && plus:
			c = ' '
		}
		b = append(b, c)
	}
	return string(b), nil
}

package lan

import (
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// The bounds of one announce of BEP 14.
const (
	maxLSD    = 1400 // bytes, so that it stays in one frame (BEP 14)
	maxLines  = 64   // header lines
	perLSD    = 24   // info hashes that we put in one: 52 bytes each beside about 130
	hashDigit = 40   // hex digits of an info hash
)

// lsdHost is the Host header of each family (BEP 14, A and B).
var lsdHost = [families]string{v4: "239.192.152.143:6771", v6: "[ff15::efc0:988f]:6771"}

// lsdStart is the first line.
const lsdStart = "BT-SEARCH * HTTP/1.1\r\n"

// errLSD says that bytes are no announce of BEP 14.
var errLSD = errors.New("lan: no announce of BEP 14")

// lsdMessage is one announce: who sent it takes part in these swarms, at this port of the
// address that it came from.
type lsdMessage struct {
	Family family // the group that its Host names
	Port   uint16
	Cookie string     // empty: none
	Hashes [][20]byte // one at least, each once, none of zeros
}

// appendLSD writes an announce. The caller keeps to perLSD hashes.
func appendLSD(dst []byte, m lsdMessage) []byte {
	dst = append(dst, lsdStart+"Host: "...)
	dst = append(dst, lsdHost[m.Family]...)
	dst = append(dst, "\r\nPort: "...)
	dst = strconv.AppendUint(dst, uint64(m.Port), 10)
	for i := range m.Hashes {
		dst = append(dst, "\r\nInfohash: "...)
		dst = hex.AppendEncode(dst, m.Hashes[i][:])
	}
	if m.Cookie != "" {
		dst = append(dst, "\r\ncookie: "...)
		dst = append(dst, m.Cookie...)
	}
	return append(dst, "\r\n\r\n\r\n"...)
}

// parseLSD reads an announce as BEP 14 has it: lines that end with CR LF, an empty one
// that ends them, and nothing but one more after that. Names of headers are the same in
// either case; unknown ones are passed over; a known one that makes no sense, or is there
// twice where one is right, is refused with all the rest.
func parseLSD(b []byte) (lsdMessage, error) {
	var m lsdMessage
	if len(b) > maxLSD {
		return m, errLSD
	}
	rest, ok := strings.CutPrefix(string(b), lsdStart)
	if !ok {
		return m, errLSD
	}
	seen := map[string]bool{}
	for range maxLines {
		line, after, ok := strings.Cut(rest, "\r\n")
		if !ok {
			return m, errLSD
		}
		rest = after
		if line == "" {
			return m.complete(seen, rest)
		}
		if !m.header(line, seen) {
			return m, errLSD
		}
	}
	return m, errLSD
}

// complete judges the whole when the headers are over.
func (m lsdMessage) complete(seen map[string]bool, rest string) (lsdMessage, error) {
	if rest != "" && rest != "\r\n" || !seen["host"] || !seen["port"] || len(m.Hashes) == 0 {
		return m, errLSD
	}
	return m, nil
}

// header takes one line; false if the announce is to be refused for it.
func (m *lsdMessage) header(line string, seen map[string]bool) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsFunc(line, unprintable) {
		return false
	}
	name, value = strings.ToLower(name), strings.Trim(value, " \t")
	if name == "infohash" {
		return m.hash(value)
	}
	if name != "host" && name != "port" && name != "cookie" {
		return true
	}
	if seen[name] {
		return false
	}
	seen[name] = true
	switch name {
	case "host":
		f := slices.Index(lsdHost[:], strings.ToLower(value))
		m.Family = family(max(f, 0))
		return f >= 0
	case "port":
		port, err := strconv.ParseUint(value, 10, 16)
		m.Port = uint16(port)
		return err == nil && port > 0 && len(value) <= len("65535")
	}
	m.Cookie = value
	return true
}

// hash takes an info hash, each once.
func (m *lsdMessage) hash(value string) bool {
	var h [20]byte
	if len(value) != hashDigit {
		return false
	}
	if _, err := hex.Decode(h[:], []byte(value)); err != nil || h == [20]byte{} {
		return false
	}
	if !slices.Contains(m.Hashes, h) { // 27 fit in a packet
		m.Hashes = append(m.Hashes, h)
	}
	return true
}

// unprintable tells what no header line has.
func unprintable(r rune) bool { return (r < ' ' && r != '\t') || r > '~' }

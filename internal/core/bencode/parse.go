package bencode

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Defaults of Limits: deep and long enough for every honest document that is not metainfo of a huge tree.
const (
	DefaultDepth  = 64
	DefaultTokens = 2_000_000
)

// Limits bounds what Parse accepts. A zero field means its default.
type Limits struct {
	Depth  int // lists and dictionaries open at once; a plain integer has depth 0. Default 64
	Tokens int // values in all; a dictionary's key and its value count as one. Default 2,000,000
}

// ErrSyntax is wrapped by every error of Parse and ParsePrefix that more input could not mend.
var ErrSyntax = errors.New("not valid bencoding")

// ErrShort is wrapped when the input ends before the value does.
var ErrShort = errors.New("the input ends inside a value")

// ErrLimit is wrapped when the document is deeper or longer than the Limits.
var ErrLimit = errors.New("over the limit")

// Parse checks that b is one bencoded value and nothing else, and returns the view of it.
// The view keeps b. Errors wrap ErrSyntax, ErrShort or ErrLimit and name the offset.
func Parse(b []byte, lim Limits) (Value, error) {
	v, n, err := ParsePrefix(b, lim)
	if err != nil {
		return Value{}, err
	}
	if n != len(b) {
		return Value{}, fmt.Errorf("bencode: offset %d: %w: %d bytes after the end", n, ErrSyntax, len(b)-n)
	}
	return v, nil
}

// ParsePrefix checks the first value of b and returns it with its length in bytes; what follows is not looked at
// (a ut_metadata message is a dictionary followed by data, BEP 9).
func ParsePrefix(b []byte, lim Limits) (Value, int, error) {
	if lim.Depth <= 0 {
		lim.Depth = DefaultDepth
	}
	if lim.Tokens <= 0 {
		lim.Tokens = DefaultTokens
	}
	n, _, err := scan(b, lim)
	if err != nil {
		return Value{}, 0, err
	}
	return Value{raw: b[:n:n]}, n, nil
}

// span is where a key's bytes lie in the input. Inputs over 4 GiB are refused before it is used.
type span struct{ off, end uint32 }

// frame is one open list or dictionary.
type frame struct {
	dict     bool
	unsorted bool  // a key smaller than the one before it was seen
	keys     int32 // where this dictionary's keys begin among all that are remembered
}

// scanner is a place in the input.
type scanner struct {
	b  []byte
	at int
}

// scan walks the first value of b and returns its length and whether all its keys are sorted. What it remembers begins
// in arrays on its stack, and stays there for small documents: parsing them allocates nothing.
func scan(b []byte, lim Limits) (n int, canonical bool, err error) {
	if uint64(len(b)) > math.MaxUint32 {
		return 0, false, fmt.Errorf("bencode: %d bytes: %w", len(b), ErrLimit)
	}
	var frameRoom [DefaultDepth]frame
	var keyRoom [64]span
	frames, keys := frameRoom[:0], keyRoom[:0] // open containers, outermost first; the keys of those, likewise
	s := scanner{b: b}
	canonical = true
	for tokens := 1; ; {
		if n := len(frames); n > 0 {
			f := &frames[n-1]
			if s.at < len(b) && b[s.at] == 'e' {
				if err := s.distinct(f, keys); err != nil {
					return 0, false, err
				}
				keys, frames = keys[:f.keys], frames[:n-1]
				s.at++
				if n == 1 {
					return s.at, canonical, nil
				}
				continue
			}
			if f.dict {
				k, err := s.key(f, keys)
				if err != nil {
					return 0, false, err
				}
				keys = append(keys, k)
				canonical = canonical && !f.unsorted
			}
		}
		opens, err := s.value()
		if err == nil && tokens > lim.Tokens {
			err = fmt.Errorf("bencode: offset %d: more than %d values: %w", s.at, lim.Tokens, ErrLimit)
		}
		if err == nil && opens && len(frames) >= lim.Depth {
			err = fmt.Errorf("bencode: offset %d: nested deeper than %d: %w", s.at, lim.Depth, ErrLimit)
		}
		if err != nil {
			return 0, false, err
		}
		tokens++
		switch {
		case opens:
			frames = append(frames, frame{dict: b[s.at-1] == 'd', keys: int32(len(keys))})
		case len(frames) == 0:
			return s.at, canonical, nil
		}
	}
}

// key steps over a key of the dictionary f and compares it with the one before.
func (s *scanner) key(f *frame, keys []span) (span, error) {
	if s.at < len(s.b) && (s.b[s.at] < '0' || s.b[s.at] > '9') {
		return span{}, fmt.Errorf("bencode: offset %d: %w: a key must be a string", s.at, ErrSyntax)
	}
	k, err := s.str()
	if err != nil || len(keys) == int(f.keys) {
		return k, err
	}
	switch c := s.compare(keys[len(keys)-1], k); {
	case c == 0:
		return k, s.duplicate(k)
	case c > 0:
		f.unsorted = true
	}
	return k, nil
}

// distinct looks for equal keys that are not neighbours, which only an unsorted dictionary can hide.
func (s *scanner) distinct(f *frame, keys []span) error {
	if !f.unsorted {
		return nil
	}
	keys = keys[f.keys:]
	slices.SortFunc(keys, s.compare)
	for i := 1; i < len(keys); i++ {
		if s.compare(keys[i-1], keys[i]) == 0 {
			return s.duplicate(keys[i])
		}
	}
	return nil
}

func (s *scanner) compare(x, y span) int { return bytes.Compare(s.b[x.off:x.end], s.b[y.off:y.end]) }

// value steps over an integer or a string, or into a container.
func (s *scanner) value() (opens bool, err error) {
	if s.at >= len(s.b) {
		return false, s.short()
	}
	switch c := s.b[s.at]; {
	case c == 'i':
		return false, s.integer()
	case c >= '0' && c <= '9':
		_, err := s.str()
		return false, err
	case c == 'l' || c == 'd':
		s.at++
		return true, nil
	default:
		return false, fmt.Errorf("bencode: offset %d: %w: no value begins with byte 0x%02x", s.at, ErrSyntax, c)
	}
}

func (s *scanner) integer() error {
	end := s.at + 1
	for end < len(s.b) && (s.b[end] == '-' || s.b[end] >= '0' && s.b[end] <= '9') {
		end++
	}
	if end >= len(s.b) {
		if _, ok := number(s.b[s.at+1:], true); ok || end == s.at+1 || end == s.at+2 && s.b[s.at+1] == '-' {
			return s.short()
		}
		return fmt.Errorf("bencode: offset %d: %w: bad integer", s.at, ErrSyntax)
	}
	if _, ok := number(s.b[s.at+1:end], true); !ok || s.b[end] != 'e' {
		return fmt.Errorf("bencode: offset %d: %w: bad integer", s.at, ErrSyntax)
	}
	s.at = end + 1
	return nil
}

func (s *scanner) str() (span, error) {
	end := s.at
	for end < len(s.b) && s.b[end] >= '0' && s.b[end] <= '9' {
		end++
	}
	n, ok := number(s.b[s.at:end], false)
	if end == s.at && end == len(s.b) {
		return span{}, s.short()
	}
	if !ok || end < len(s.b) && s.b[end] != ':' {
		return span{}, fmt.Errorf("bencode: offset %d: %w: bad string length", s.at, ErrSyntax)
	}
	if end >= len(s.b) {
		return span{}, s.short()
	}
	end++
	if n > int64(len(s.b)-end) {
		return span{}, fmt.Errorf("bencode: offset %d: a string of %d bytes: %w", s.at, n, ErrShort)
	}
	s.at = end + int(n)
	return span{uint32(end), uint32(s.at)}, nil
}

func (s *scanner) short() error {
	return fmt.Errorf("bencode: offset %d: %w", len(s.b), ErrShort)
}

func (s *scanner) duplicate(k span) error {
	key := string(s.b[k.off:k.end])
	return fmt.Errorf("bencode: offset %d: %w: duplicate key %.32q", k.off, ErrSyntax, key)
}

// number reads a decimal of BEP 3's form: no leading zero, no plus, no "-0", within int64.
func number(d []byte, signed bool) (int64, bool) {
	neg := false
	if signed && len(d) > 0 && d[0] == '-' {
		neg, d = true, d[1:]
	}
	if len(d) == 0 || len(d) > 19 || d[0] == '0' && (len(d) > 1 || neg) {
		return 0, false
	}
	var n uint64
	for _, c := range d {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0') // 19 digits fit uint64
	}
	switch {
	case neg && n <= 1<<63:
		return int64(-n), true
	case !neg && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

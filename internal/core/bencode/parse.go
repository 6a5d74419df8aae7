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
	keys     int32 // where this dictionary's keys begin in scanner.keys
}

// scanner is the state of one pass. Its slices start on the stack of scan, so small documents allocate nothing.
type scanner struct {
	b         []byte
	at        int
	tokens    int
	canonical bool
	frames    []frame
	keys      []span // keys of all open dictionaries, outermost first
}

// scan walks the first value of b and returns its length and whether all its keys are sorted.
func scan(b []byte, lim Limits) (n int, canonical bool, err error) {
	if uint64(len(b)) > math.MaxUint32 {
		return 0, false, fmt.Errorf("bencode: %d bytes: %w", len(b), ErrLimit)
	}
	var frames [DefaultDepth]frame
	var keys [64]span
	s := scanner{b: b, canonical: true, frames: frames[:0], keys: keys[:0]}
	for {
		if len(s.frames) > 0 {
			closed, err := s.inside()
			if err != nil {
				return 0, false, err
			}
			if closed {
				if len(s.frames) == 0 {
					return s.at, s.canonical, nil
				}
				continue
			}
		}
		if s.tokens++; s.tokens > lim.Tokens {
			return 0, false, fmt.Errorf("bencode: offset %d: more than %d values: %w", s.at, lim.Tokens, ErrLimit)
		}
		if err := s.value(lim.Depth); err != nil {
			return 0, false, err
		}
		if len(s.frames) == 0 {
			return s.at, s.canonical, nil
		}
	}
}

// inside handles what a container adds around values: its end, and a dictionary's keys.
func (s *scanner) inside() (closed bool, err error) {
	if s.at >= len(s.b) {
		return false, s.short()
	}
	f := &s.frames[len(s.frames)-1]
	if s.b[s.at] == 'e' {
		if f.dict {
			if err := s.closeDict(f); err != nil {
				return false, err
			}
		}
		s.at++
		s.frames = s.frames[:len(s.frames)-1]
		return true, nil
	}
	if !f.dict {
		return false, nil
	}
	if c := s.b[s.at]; c < '0' || c > '9' {
		return false, fmt.Errorf("bencode: offset %d: %w: a key must be a string", s.at, ErrSyntax)
	}
	k, err := s.str()
	if err != nil {
		return false, err
	}
	if n := len(s.keys); n > int(f.keys) {
		last := s.keys[n-1]
		switch c := bytes.Compare(s.b[last.off:last.end], s.b[k.off:k.end]); {
		case c == 0:
			return false, s.duplicate(k)
		case c > 0:
			f.unsorted, s.canonical = true, false
		}
	}
	s.keys = append(s.keys, k)
	return false, nil
}

// closeDict looks for equal keys that were not neighbours, which only an unsorted dictionary can hide.
func (s *scanner) closeDict(f *frame) error {
	keys := s.keys[f.keys:]
	if f.unsorted {
		slices.SortFunc(keys, func(x, y span) int { return bytes.Compare(s.b[x.off:x.end], s.b[y.off:y.end]) })
		for i := 1; i < len(keys); i++ {
			if x, y := keys[i-1], keys[i]; bytes.Equal(s.b[x.off:x.end], s.b[y.off:y.end]) {
				return s.duplicate(y)
			}
		}
	}
	s.keys = s.keys[:f.keys]
	return nil
}

// value steps over an integer or a string, or opens a container.
func (s *scanner) value(depth int) error {
	if s.at >= len(s.b) {
		return s.short()
	}
	switch c := s.b[s.at]; {
	case c == 'i':
		return s.integer()
	case c >= '0' && c <= '9':
		_, err := s.str()
		return err
	case c == 'l' || c == 'd':
		if len(s.frames) >= depth {
			return fmt.Errorf("bencode: offset %d: nested deeper than %d: %w", s.at, depth, ErrLimit)
		}
		s.at++
		s.frames = append(s.frames, frame{dict: c == 'd', keys: int32(len(s.keys))})
		return nil
	default:
		return fmt.Errorf("bencode: offset %d: %w: no value begins with byte 0x%02x", s.at, ErrSyntax, c)
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
	key := s.b[k.off:k.end]
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

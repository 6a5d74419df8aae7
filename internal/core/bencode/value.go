package bencode

import (
	"bytes"
	"iter"
	"math"
)

// Kind is what a Value is.
type Kind uint8

// The kinds. Invalid is the kind of the zero Value, which lookups return for what is absent.
const (
	Invalid Kind = iota
	Int
	String
	List
	Dict
)

// String names the kind for messages.
func (k Kind) String() string {
	switch k {
	case Int:
		return "integer"
	case String:
		return "string"
	case List:
		return "list"
	case Dict:
		return "dictionary"
	}
	return "nothing"
}

// Value is a view of one value in a parsed document. It is small and may be copied; it keeps the document alive.
// The zero Value is Invalid, and every method of it is safe.
type Value struct{ raw []byte } // exactly the value's bytes, already checked

// Kind returns what v is.
func (v Value) Kind() Kind {
	if len(v.raw) == 0 {
		return Invalid
	}
	return kindOf(v.raw[0])
}

func kindOf(c byte) Kind {
	switch c {
	case 'i':
		return Int
	case 'l':
		return List
	case 'd':
		return Dict
	}
	return String
}

// Raw returns the bytes of v exactly as they stand in the input: what an info hash is computed over.
func (v Value) Raw() []byte { return v.raw }

// Int returns the integer, or false if v is not one.
func (v Value) Int() (int64, bool) {
	if v.Kind() != Int {
		return 0, false
	}
	return number(v.raw[1:len(v.raw)-1], true)
}

// Bytes returns the string's content as a view, or false if v is not a string.
func (v Value) Bytes() ([]byte, bool) {
	if v.Kind() != String {
		return nil, false
	}
	i := bytes.IndexByte(v.raw, ':') + 1
	return v.raw[i:len(v.raw):len(v.raw)], true
}

// Len returns the number of items of a list or pairs of a dictionary, otherwise 0. It walks the value.
func (v Value) Len() int {
	n := 0
	switch v.Kind() {
	case List:
		for range v.Items() {
			n++
		}
	case Dict:
		for range v.Pairs() {
			n++
		}
	}
	return n
}

// Items yields the items of a list in order, and nothing for any other kind.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != List {
			return
		}
		c := v.Cursor()
		for c.Enter(); c.More(); {
			if !yield(c.Value()) {
				return
			}
		}
	}
}

// Pairs yields the keys and values of a dictionary in the order of the input, and nothing for any other kind.
// The keys are views.
func (v Value) Pairs() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		if v.Kind() != Dict {
			return
		}
		c := v.Cursor()
		for c.Enter(); c.More(); {
			k := c.Key()
			if !yield(k, c.Value()) {
				return
			}
		}
	}
}

// Get returns the value of a dictionary's key, or Invalid when it is absent or v is not a dictionary.
func (v Value) Get(key string) Value {
	for k, x := range v.Pairs() {
		if string(k) == key {
			return x
		}
	}
	return Value{}
}

// Canonical tells whether the keys of v and of all dictionaries within it are in sorted order, so that encoding what
// was decoded gives the same bytes (everything else that is not canonical is refused by Parse).
func (v Value) Canonical() bool {
	if v.Kind() == Invalid {
		return false
	}
	_, canonical, err := scan(v.raw, Limits{Depth: math.MaxInt, Tokens: math.MaxInt})
	return err == nil && canonical
}

// Cursor steps through a parsed value token by token: one pass over any depth, without recursion or memory.
// It trusts that the value was checked by Parse. Use it as the grammar goes:
//
//	c.Enter()                  // into the list or dictionary that is next
//	for c.More() {             // false at its end, which is then stepped over
//		k := c.Key()       // in a dictionary only
//		v := c.Value()     // or Enter again
//	}
type Cursor struct {
	b  []byte
	at int
}

// Cursor returns a cursor that stands before v.
func (v Value) Cursor() Cursor { return Cursor{b: v.raw} }

// Kind returns the kind of the value that is next, Invalid at the end of everything.
func (c *Cursor) Kind() Kind {
	if c.at >= len(c.b) || c.b[c.at] == 'e' {
		return Invalid
	}
	return kindOf(c.b[c.at])
}

// Enter steps into the list or dictionary that is next. It does nothing before any other kind.
func (c *Cursor) Enter() {
	if k := c.Kind(); k == List || k == Dict {
		c.at++
	}
}

// More tells whether another item or pair follows in the innermost open container; if not, it steps out of it.
func (c *Cursor) More() bool {
	if c.at >= len(c.b) {
		return false
	}
	if c.b[c.at] == 'e' {
		c.at++
		return false
	}
	return true
}

// Key steps over the string that is next and returns its content as a view.
func (c *Cursor) Key() []byte {
	from, end := c.str(c.at)
	c.at = end
	return c.b[from:end:end]
}

// Value steps over the value that is next and returns it.
func (c *Cursor) Value() Value {
	from, depth := c.at, 0
	for c.at < len(c.b) {
		switch c.b[c.at] {
		case 'i':
			c.at += bytes.IndexByte(c.b[c.at:], 'e') + 1
		case 'l', 'd':
			depth++
			c.at++
		case 'e':
			depth--
			c.at++
		default:
			_, c.at = c.str(c.at)
		}
		if depth <= 0 {
			break
		}
	}
	return Value{raw: c.b[from:c.at:c.at]}
}

// str returns where the content of the string at offset at begins and ends.
func (c *Cursor) str(at int) (from, end int) {
	n := 0
	for at < len(c.b) && c.b[at] != ':' {
		n = n*10 + int(c.b[at]-'0')
		at++
	}
	from = min(at+1, len(c.b))
	return from, min(from+max(n, 0), len(c.b))
}

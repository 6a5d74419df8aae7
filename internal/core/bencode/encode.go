package bencode

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// AppendInt appends n, as in i42e.
func AppendInt(dst []byte, n int64) []byte {
	dst = append(dst, 'i')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, 'e')
}

// AppendString appends s with its length, as in 4:spam.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, ':')
	return append(dst, s...)
}

// ErrEncode is wrapped when an Encoder was used against the grammar or with keys out of order.
var ErrEncode = errors.New("cannot be encoded")

// Encoder writes canonical bencoding. Its methods are called in the order of the document: Dict or List opens, End
// closes, and within a dictionary Key comes before each value. Keys must come sorted as raw bytes and once each, which
// it checks. The first misuse is kept and returned by Bytes; what follows it is ignored. The zero Encoder is ready.
type Encoder struct {
	buf  []byte
	open []level
	err  error
}

// level is one open container.
type level struct {
	dict      bool
	value     bool // dictionary: a key was written and its value is due
	keyed     bool // dictionary: at least one key was written
	from, end int  // the last key's bytes in buf
}

// NewEncoder returns an encoder that appends to dst.
func NewEncoder(dst []byte) *Encoder { return &Encoder{buf: dst} }

// Reset makes e ready for another document, appended to dst.
func (e *Encoder) Reset(dst []byte) { *e = Encoder{buf: dst, open: e.open[:0]} }

// Bytes returns what was written, or the first misuse, or that something is still open.
func (e *Encoder) Bytes() ([]byte, error) {
	if e.err == nil && len(e.open) > 0 {
		e.fail("a list or dictionary is open")
	}
	if e.err != nil {
		return nil, e.err
	}
	return e.buf, nil
}

func (e *Encoder) fail(why string) {
	if e.err == nil {
		e.err = fmt.Errorf("bencode: offset %d: %w: %s", len(e.buf), ErrEncode, why)
	}
}

// due checks that a value may stand here and notes it.
func (e *Encoder) due() bool {
	if e.err != nil {
		return false
	}
	if n := len(e.open); n > 0 && e.open[n-1].dict {
		if !e.open[n-1].value {
			e.fail("a value without a key")
			return false
		}
		e.open[n-1].value = false
	}
	return true
}

// Dict opens a dictionary.
func (e *Encoder) Dict() {
	if e.due() {
		e.buf = append(e.buf, 'd')
		e.open = append(e.open, level{dict: true})
	}
}

// List opens a list.
func (e *Encoder) List() {
	if e.due() {
		e.buf = append(e.buf, 'l')
		e.open = append(e.open, level{})
	}
}

// End closes the innermost open list or dictionary.
func (e *Encoder) End() {
	n := len(e.open)
	if n == 0 || e.open[n-1].value {
		e.fail("End where nothing can end")
	}
	if e.err != nil {
		return
	}
	e.buf = append(e.buf, 'e')
	e.open = e.open[:n-1]
}

// Key writes the key of the pair whose value comes next.
func (e *Encoder) Key(key string) {
	n := len(e.open)
	if n == 0 || !e.open[n-1].dict || e.open[n-1].value {
		e.fail("a key where none can stand")
	}
	if e.err != nil {
		return
	}
	l := &e.open[n-1]
	if l.keyed && bytes.Compare(e.buf[l.from:l.end], []byte(key)) >= 0 {
		e.fail(fmt.Sprintf("key %.32q is not after %.32q", key, e.buf[l.from:l.end]))
		return
	}
	e.buf = AppendString(e.buf, key)
	l.value, l.keyed = true, true
	l.from, l.end = len(e.buf)-len(key), len(e.buf)
}

// Int writes an integer.
func (e *Encoder) Int(n int64) {
	if e.due() {
		e.buf = AppendInt(e.buf, n)
	}
}

// String writes a string.
func (e *Encoder) String(s string) {
	if e.due() {
		e.buf = AppendString(e.buf, s)
	}
}

// Blob writes a string given as bytes.
func (e *Encoder) Blob(b []byte) {
	if e.due() {
		e.buf = AppendString(e.buf, b)
	}
}

// Raw writes bytes that are one bencoded value already, such as an info dictionary. They are taken on trust.
func (e *Encoder) Raw(b []byte) {
	if e.due() {
		e.buf = append(e.buf, b...)
	}
}

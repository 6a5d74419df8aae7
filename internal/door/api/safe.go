package api

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Safe makes a string from elsewhere harmless on a terminal or in a log: what
// could move the cursor, change colours, reverse the reading direction or hide
// (control, format and private characters, line separators, bytes that are not
// UTF-8) is written as a Go escape such as \x1b or \u202e. Everything else,
// a backslash too, stays as it is.
func Safe(s string) string {
	if isSafe(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[s[i]>>4])
			b.WriteByte(hexDigits[s[i]&15])
		case harmless(r):
			b.WriteString(s[i : i+n])
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

func isSafe(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return isSafeUnicode(s)
		}
	}
	return true
}

func isSafeUnicode(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !harmless(r) {
			return false
		}
	}
	return true
}

// harmless says whether a rune only shows itself. unicode.IsPrint leaves out
// controls, format characters (bidi overrides, zero widths, tags), surrogates,
// private use and every space but U+0020.
func harmless(r rune) bool { return unicode.IsPrint(r) }

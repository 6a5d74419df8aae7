package metainfo

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the length in bytes that no component of a path exceeds, as file systems want it.
const MaxName = 255

// SafeName makes one component of a path safe on every system: the result is one local name, never empty, never "." or
// "..", of at most MaxName bytes of valid UTF-8. Names that are safe come back as they are, so the function is
// idempotent. What is not safe is shown so, as %XX of its bytes: separators (/ and \), control characters, characters
// that change the direction of text, bytes that are not UTF-8, a dot or space at the end. An empty name becomes "_"; a name that
// Windows reserves for a device gets "_" in front; one that is too long is cut and told apart by its hash.
func SafeName(name string) string {
	if name == "" {
		return "_"
	}
	safe := escape(name)
	if isDevice(safe) {
		safe = "_" + safe
	}
	if len(safe) > MaxName {
		safe = shorten(safe)
	}
	return safe
}

const upperHex = "0123456789ABCDEF"

// escape replaces what must not stand in a name.
func escape(name string) string {
	if strings.Trim(name, ".") == "" { // ".", ".." and longer
		return strings.Repeat("%2E", len(name))
	}
	from := 0 // name[from:] is not yet in b
	var b strings.Builder
	for at := 0; at < len(name); {
		r, n := utf8.DecodeRuneInString(name[at:])
		last := at+n == len(name)
		if r == utf8.RuneError && n == 1 || unsafeRune(r) || last && (r == '.' || r == ' ') {
			b.WriteString(name[from:at])
			for _, c := range []byte(name[at : at+n]) {
				b.WriteByte('%')
				b.WriteByte(upperHex[c>>4])
				b.WriteByte(upperHex[c&15])
			}
			from = at + n
		}
		at += n
	}
	if from == 0 {
		return name
	}
	b.WriteString(name[from:])
	return b.String()
}

// unsafeRune tells whether r separates, controls a terminal, breaks a line, or changes the direction of what is read.
// Joiners (U+200B to U+200D) stay: languages and emoji need them.
func unsafeRune(r rune) bool {
	switch {
	case r < 0x20, r == '/', r == '\\', r >= 0x7f && r <= 0x9f:
		return true
	case r < 0x61c:
		return false
	}
	return r == 0x61c || r == 0x200e || r == 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x206f ||
		r == 0xfeff || r >= 0xfff9 && r <= 0xfffb
}

// isDevice tells whether Windows would open a device for this name, whatever its extension.
func isDevice(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.TrimRight(stem, " ")
	if len(stem) < 3 || len(stem) > 7 {
		return false
	}
	stem = strings.ToUpper(stem)
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	port, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		port, ok = strings.CutPrefix(stem, "LPT")
	}
	return ok && (len(port) == 1 && port[0] >= '0' && port[0] <= '9' || port == "¹" || port == "²" || port == "³")
}

// shorten cuts the stem of a name that is already escaped and keeps its extension. Eight hex digits of the whole name's
// SHA-256 keep names apart that differ beyond the cut.
func shorten(name string) string {
	return fitName(name, hashMark(name))
}

func hashMark(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "~" + hex.EncodeToString(sum[:4])
}

// fitName puts mark between the stem and the extension and cuts the stem so that the whole is a possible name.
func fitName(name, mark string) string {
	stem, ext := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && len(name)-dot <= 24 {
		stem, ext = name[:dot], name[dot:]
	}
	room := MaxName - len(mark) - len(ext)
	if len(stem) > room {
		for room > 0 && !utf8.RuneStart(stem[room]) {
			room--
		}
		stem = stem[:room]
	}
	return stem + mark + ext
}

// foldName maps names that a case-insensitive file system takes as equal to one string.
func foldName(name string) string {
	for i := 0; i < len(name); i++ {
		if name[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, name)
		}
	}
	return strings.ToLower(name)
}

func foldRune(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// Package bencode reads and writes bencoding, the encoding of metainfo files, DHT packets, tracker answers and
// extension messages (BEP 3, section "bencoding").
//
// Parse checks a whole document once and gives back a Value: a view of the input that copies nothing and holds no
// tree. Everything below a Value is found by walking its bytes again, so a document costs no memory beyond itself.
// A document that is walked in depth is walked in one pass by a Cursor.
//
// What is refused: integers that do not fit int64, leading zeros in numbers and lengths, "-0", duplicate keys, keys that
// are not strings, bytes after the document, and anything deeper or longer than the Limits. Keys out of order are
// accepted, because such files exist and their info hash is over the bytes as they are; Canonical tells.
//
// The package never recurses, never allocates by what the input claims, and never changes the input. Views share
// memory with it: whoever changes the input afterwards changes the views.
package bencode

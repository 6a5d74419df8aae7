// Package metainfo knows what a share is: it reads and builds .torrent files and info dictionaries, reads and writes
// magnet links, and answers every question about pieces, files and hashes that follows from them.
//
// Formats: BEP 3 (v1), 52 (v2 and hybrid), 12 (tracker tiers), 19 (web seeds), 27 (private), 47 (attributes and pad
// files), 9 and 53 (magnet links). The bytes are in docs/formats/metainfo.md and docs/formats/magnet.md.
//
// All of it comes from strangers, so it is judged once, here, by one rule. Refused, with an *Error of one line: wrong
// types, missing keys, sizes that are zero or absurd, too many pieces, files or equal names, v2 trees or layers that are
// wrong, a hybrid whose two halves differ. Made safe, and shown as changed: names and paths. Accepted: keys out of order
// and a trailing newline, because the info hash is over the bytes as they are.
//
// The package computes only. It opens no file, follows no link, contacts nobody, and keeps no byte it was not given: a
// parsed Metainfo is a view of its input. Piece data is hashed here (PieceHasher), but read and written elsewhere.
package metainfo

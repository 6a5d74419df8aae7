// Package catalog remembers a node's shares: one row and one resume state for
// each, in SQLite, and beside it the torrents folder, which is the truth that
// the database can be made again from.
//
// It is written in batches, off the hot path, and waits for the device in Close and
// SaveTorrent, and when SQLite folds its log into the database. It opens no share's
// content. The formats are in docs/formats/catalog.md.
package catalog

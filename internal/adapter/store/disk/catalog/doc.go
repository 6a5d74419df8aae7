// Package catalog remembers a node's shares: one row and one resume state for
// each, in SQLite, and beside it the torrents folder, which is the truth that
// the database can be made again from.
//
// It is written in batches, off the hot path, and never waits for the device
// but in Flush, Close and SaveTorrent. It opens no share's content. The formats
// are in docs/formats/catalog.md.
package catalog

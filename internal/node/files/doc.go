// Package files is what of one share lies on the disk, file by file: which files are
// wanted, what is there already when a share is opened, how many pieces each file still
// lacks, and what a verification finds.
//
// It computes and hashes; Open and Verify take as long as that takes and are called where
// waiting hurts nobody. A Tally belongs to the goroutine that owns the share.
//
// It never writes a byte of content and never renames a file: that is adapter/store's,
// at the share's word. It knows neither peers nor the swarm.
package files

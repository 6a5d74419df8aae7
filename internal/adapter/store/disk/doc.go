// Package disk is what the store asks of the operating system and the standard
// library does not give: vectored reads and writes, renaming that never
// replaces, holes, flushing, free space, the name of the boot; and the errors
// that a disk answers with, sorted into kinds a caller can decide on.
//
// There is one file per system. The package keeps no state and knows nothing
// of shares.
package disk

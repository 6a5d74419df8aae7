// Package store keeps shares on disk: their content in the person's folders,
// and the catalog of shares with their resume state in the home.
//
// It creates metainfo by hashing files (create.go, walk.go, hash.go), opens the
// content of a share (content.go), reads and writes its pieces (rw.go), gives
// complete files their names (finish.go), checks pieces again on all cores
// (verify.go) and decides after a restart what is to be trusted (resume.go).
// Its inner rooms are disk, the system calls and their errors, and
// disk/catalog, the database; callers reach both through store.go.
//
// Rules that hold everywhere in this package:
//
//   - Nothing outside a share's folder is touched. Paths are walked one
//     component at a time beneath an os.Root; a symbolic link is never
//     followed and never made.
//   - A file that is being fetched carries a name ending in ".part" until
//     every piece of it was verified; then it is renamed, and the renaming
//     never replaces another file.
//   - Bytes that belong to files nobody selected never reach the person's
//     folder: they go to a sparse file in the home.
//   - Reads and writes are preadv and pwritev on cached descriptors: no
//     allocation, no lock across a system call, no fsync, no mmap.
//
// The package never talks to the network and never decides what to fetch.
// The formats of the database are described in docs/formats/catalog.md.
package store

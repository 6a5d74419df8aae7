// Package demo is what `shoal demo` does: a small network on this machine, run as people
// would run it. Every node is a process of its own, this same program with a home of its
// own in a temporary folder, on loopback, and is spoken to by its API alone, so that what
// one sees is what the program does and a kill is a kill.
//
// The story, in order: nodes start (nodes.go); one founds a group, the others join by its
// ticket, and both sides' codes are compared (join.go); the first shares a file or folder
// (source.go) for the group; the second fetches it alone and is a second seed, the slow one;
// the others fetch it from both and from each other, and half-way the first is killed
// (fetch.go, watch.go); then every byte of every copy is compared (compare.go) and the
// figures are told (report.go).
//
// It never opens a share or a socket itself, decides nothing about data, and leaves nothing
// behind unless it is told to keep the homes.
package demo

// Package fault holds what goes wrong on purpose: tests that run the built shoal
// binary on loopback and kill it at random moments and at chosen system calls, fill
// its disk, change files under it, put hostile peers and trackers beside it, hand it
// malformed input, and stop it in the middle of everything. After each fault the
// transfer is finished and every byte compared.
//
// The tests see what a person or another program can see: exit codes, lines of
// --json, the HTTP API, files. They never look inside. Each wait is for an event or
// a state and has a deadline. Every run is in a network namespace with loopback
// alone and, where the system allows it, in a mount namespace of its own.
//
// SHOAL_LONG=1 makes more rounds: 50 kills at random moments instead of 10, and
// every system call of a run up to 200 instead of 40 of them.
package fault

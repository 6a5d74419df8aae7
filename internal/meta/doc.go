// Package meta holds no code that runs in shoal: its tests read the module's own
// source and documents and keep the rules of the house. They keep who may import
// whom, what the packages under internal/core may never call, how large a
// function, file, package, interface and parameter list may grow, that every
// package and exported name says what it is, that sources are formatted, and that
// paths and Go names quoted in the documents exist.
//
// It never loads a package, runs a build or opens a socket: everything comes from
// go/parser, so the whole set takes about a second and belongs in every commit's
// quick run.
//
// What is over a limit for a good reason stands in exceptions.txt with its size
// and the reason. That list may only shrink: an entry that is no longer needed, or
// that is larger than what it excuses, fails the tests, and so does a longer list.
package meta

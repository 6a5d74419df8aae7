// Package ident is who a node is: its Ed25519 key, the name that follows from it, what
// it signs, and what people compare aloud. It draws no random bits and reads no file:
// seeds come from the caller, the key file's bytes go back to it.
//
// A signature is always over a domain and a text (envelope.go), so that what was signed
// for one purpose is worth nothing for another; a secret for one purpose is derived from
// the seed (Key.Derive) and tells nothing of the others.
package ident

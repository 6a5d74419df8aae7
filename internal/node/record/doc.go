// Package record is what is said of shares: how one is asked for (Spec), what the catalog
// keeps of it, how it is shown at one moment (Status, Detail) and what happens to it
// (Event), with the errors that callers decide on.
//
// It runs nothing, keeps nothing and opens nothing: the engine fills these types, and the
// node shows them to people.
package record

// Package group is what a group of nodes agrees on: its signed member list, the
// tickets that lead into it, and where members say that they are reached.
//
// The list (Log) is a set of signed entries that only grows: the founding, admissions and
// removals. Each entry names the entries its author knew (parents), so that the set is a
// graph that everybody orders alike, and the members that follow from it are the same on
// every node that holds the same entries, whatever the order in which they came
// (eval.go has the rules). What an entry may be is docs/formats/group.md.
//
// It never sends anything and never reads a clock: node/groups does.
package group

// Package groups is one node's part in its groups: it founds them, invites, joins, removes
// and leaves, keeps their member lists on disk, and brings them into step with those of
// other members. What a list means is core/group's; this package moves and keeps lists.
//
// One goroutine owns what changes (service.go); everything that others ask on their hot
// paths (Known, Shared, Member) is answered from a picture that it publishes. A group in
// the picture is never changed: a change is made to a copy, kept on disk (keep.go), then
// shown, and only then is anybody told.
//
// It dials and listens nowhere itself: connections are Net's. It never lets a stranger
// learn which groups the node is in. Both stream protocols, the file of a group and that of
// its contacts are described in docs/formats/group.md.
package groups

// Package members is one node among the members of its groups. It joins the overlay, which
// carries streams to a member, to the groups, which say who is one: it lets nobody else in,
// keeps connections to members, ends those of who was removed, and carries over them the
// sessions of swarms, the questions who holds a share, and each group's own DHT.
//
// It decides no membership (core/group does) and moves no byte of a share (engine does). A
// member is known to others by its overlay address (ident.NodeID.Addr), at which nothing
// listens. The protocols of its streams are described in docs/formats/overlay.md.
package members

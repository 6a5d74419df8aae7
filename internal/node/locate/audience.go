package locate

import (
	"net/netip"
	"slices"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/swarm/candidates"
)

// Audience is who may know of one share. All that follows from it is decided here.
//
// A share of groups is seen by their members alone, over the overlay, where a peer's address
// proves who it is; to everybody else it is a share that is not there. A private share
// (BEP 27) has peers from its tracker, and such as a person named.
type Audience struct {
	Groups  []group.ID
	Private bool
	// Member tells whether an overlay address is of a member of a group of ours; it never
	// blocks. Nil: nobody is.
	Member func(g group.ID, a netip.Addr) bool
}

// Public tells that anybody may see the share.
func (w *Audience) Public() bool { return len(w.Groups) == 0 }

// Shouted tells that strangers may be asked for peers, and may hear that the share is here.
func (w *Audience) Shouted() bool { return w.Public() && !w.Private }

// Permits tells whether a Locator may hear of the share.
func (w *Audience) Permits(k Kind) bool {
	if w.Public() {
		return !w.Private
	}
	return !k.Open()
}

// Sees tells whether the share may be spoken of with the peer at that address. Whoever
// calls sees to it that an overlay address is proven.
func (w *Audience) Sees(a netip.Addr) bool {
	if w.Public() {
		return true
	}
	return slices.ContainsFunc(w.Groups, func(g group.ID) bool { return w.in(g, a) })
}

// in tells whether the peer at that address is in a group.
func (w *Audience) in(g group.ID, a netip.Addr) bool {
	return w.Member != nil && ident.IsOverlay(a) && w.Member(g, a)
}

// Takes tells whether an address that was learnt there may be dialled for the share.
func (w *Audience) Takes(a netip.Addr, from candidates.Source) bool {
	if w.Private && !private[from] && (w.Public() || from != candidates.FromMember && from != candidates.FromGroup) {
		return false
	}
	if !w.Public() {
		return w.Sees(a)
	}
	return !ident.IsOverlay(a) || overlay[from]
}

// private are the sources that a private share may have (BEP 27): its tracker, and persons.
var private = map[candidates.Source]bool{candidates.FromPerson: true, candidates.FromLink: true, candidates.FromTracker: true}

// overlay are the sources from which overlay addresses of peers of public shares are taken.
var overlay = map[candidates.Source]bool{candidates.FromPerson: true, candidates.FromMember: true,
	candidates.FromGroup: true, candidates.FromPeer: true}

// Exchanges tells whether a peer may tell us, or be told, of another by peer exchange. Of an
// overlay address it is only where a group of the share has both for members: who is in no
// group with somebody is not to learn who that knows, and could not dial it either.
func (w *Audience) Exchanges(with, about netip.Addr) bool {
	switch {
	case w.Private:
		return false
	case w.Public():
		return !ident.IsOverlay(about)
	}
	return slices.ContainsFunc(w.Groups, func(g group.ID) bool { return w.in(g, with) && w.in(g, about) })
}

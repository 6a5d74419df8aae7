package members

import (
	"context"
	"net/netip"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Peer is a member that is connected, and how.
type Peer struct {
	overlay.Peer
	Names   []string // what it is called, by group: data from others
	Groups  []Group  // that it is in with this node
	ViaName string   // of the relay, where Via is a member: data from others
}

// Group is a group's name beside its ID.
type Group struct {
	ID   group.ID
	Name string // data from others
}

// Peers lists the members that are connected, by NodeID.
func (s *Service) Peers() []Peer { return nil }

// Connect connects to a member now and tells how it is reached. who is a NodeID, the end of
// one, or the name of exactly one member; addr a host and port where it is, or empty for
// where it was before. With only an address the members that are not connected are tried
// there. Errors: ErrNobody, overlay.ErrUnreachable.
func (s *Service) Connect(ctx context.Context, who string, addr string) (Peer, error) {
	return Peer{}, ErrNobody
}

// Found tells where a node is, as the local network says: a member is connected to at once.
func (s *Service) Found(id ident.NodeID, at netip.AddrPort) {}

package members

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Bounds of connecting.
const (
	maxTried   = 64               // members that are tried at an address without a name
	triedAt    = 4                // of those at a time
	maxFound   = 1024             // nodes that the local network told of
	foundAgain = 30 * time.Second // after which the same address is news again
	foundMost  = 10 * time.Minute // to which that grows
	foundTime  = 10 * time.Second // for a dial there
	minSuffix  = 4
)

// ErrNobody says that no member, or more than one, is meant by what was given.
var ErrNobody = errors.New("members: that names no member")

// ErrAddress says that a text is no address to connect to.
var ErrAddress = errors.New("members: that is not HOST:PORT")

// Peer is a member, and how it is reached.
type Peer struct {
	overlay.Peer         // ID and Why alone while it is not connected
	Connected    bool    //
	Groups       []Group // that it is in with this node
	ViaName      string  // of the relay: data from others
}

// Group is a group's name beside its ID, and what the member is called there.
type Group struct {
	ID   group.ID
	Name string // data from others
	Peer string // data from others
}

// sighting is where the local network last told that a node is.
type sighting struct {
	at    netip.AddrPort
	when  time.Time
	tries int // in vain at that address, one after the other
}

// again is the next sighting of a node, and whether it is news: at another address, or after a
// pause, which grows while it is not connected, for it may not take us in.
func (w sighting) again(at netip.AddrPort, now time.Time, connected bool) (sighting, bool) {
	next := sighting{at: at, when: now}
	if w.at != at {
		return next, true
	}
	if connected {
		w.tries = 0
	}
	if now.Sub(w.when) <= min(foundAgain<<min(w.tries, 16), foundMost) {
		return w, false
	}
	if !connected {
		next.tries = w.tries + 1
	}
	return next, true
}

// Peers lists the members: first those that are connected, by NodeID; then the others, with
// why no way led to them, if one was tried.
func (s *Service) Peers() []Peer {
	if !s.isUp() {
		return nil
	}
	groups := s.groupsOf()
	var here, away []Peer
	seen := make(map[ident.NodeID]bool)
	for _, p := range s.host.Peers() {
		seen[p.ID] = true
		here = append(here, s.peer(p, groups))
	}
	for id := range groups {
		if !seen[id] && id != s.me {
			away = append(away, Peer{Peer: overlay.Peer{ID: id, Why: s.host.Why(id)}, Groups: groups[id]})
		}
	}
	slices.SortFunc(away, func(a, b Peer) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return append(here, away...)
}

// peer is a connected member with its names.
func (s *Service) peer(p overlay.Peer, groups map[ident.NodeID][]Group) Peer {
	out := Peer{Peer: p, Connected: true, Groups: groups[p.ID]}
	if via := groups[p.Via]; len(via) > 0 {
		out.ViaName = via[0].Peer
	}
	return out
}

// groupsOf are all members with the groups that they share with this node.
func (s *Service) groupsOf() map[ident.NodeID][]Group {
	of := make(map[ident.NodeID][]Group)
	for _, g := range s.groups.Mine() {
		for _, m := range g.Members() {
			of[m.Node] = append(of[m.Node], Group{ID: g.ID(), Name: g.Name(), Peer: m.Name})
		}
	}
	return of
}

// Connect connects to a member now and tells how it is reached. who is a NodeID, the end of
// one, or the name of exactly one member; addr is HOST:PORT where it is, or empty for where
// it was before. With only an address, the members that are not connected are tried there.
// Errors: ErrNobody, ErrAddress, overlay.ErrUnreachable.
func (s *Service) Connect(ctx context.Context, who, addr string) (Peer, error) {
	if err := s.Ready(ctx); err != nil {
		return Peer{}, err
	}
	at, err := s.resolve(ctx, addr)
	if err != nil {
		return Peer{}, err
	}
	if who == "" {
		if len(at) == 0 {
			return Peer{}, ErrNobody
		}
		return s.whoIsAt(ctx, at)
	}
	id, err := s.named(who)
	if err != nil {
		return Peer{}, err
	}
	if err := s.host.Connect(ctx, id, s.vouch(append(at, s.groups.Where(id)...))); err != nil {
		s.groups.Seek(id) // it goes on in the background
		return Peer{}, err
	}
	return s.peerOf(id), nil
}

// peerOf is one member as Peers has it.
func (s *Service) peerOf(id ident.NodeID) Peer {
	for _, p := range s.Peers() {
		if p.ID == id {
			return p
		}
	}
	return Peer{Peer: overlay.Peer{ID: id}}
}

// named is the one member that a text means.
func (s *Service) named(who string) (ident.NodeID, error) {
	if id, err := ident.ParseNodeID(who); err == nil && s.groups.Known(id) {
		return id, nil
	}
	found := make(map[ident.NodeID]bool)
	for id, in := range s.groupsOf() {
		named := slices.ContainsFunc(in, func(g Group) bool { return g.Peer == who })
		if id != s.me && (named || len(who) >= minSuffix && strings.HasSuffix(id.String(), who)) {
			found[id] = true
		}
	}
	if len(found) != 1 {
		return ident.NodeID{}, fmt.Errorf("%w: %d members are called so", ErrNobody, len(found))
	}
	for id := range found {
		return id, nil
	}
	return ident.NodeID{}, ErrNobody
}

// resolve reads HOST:PORT; none for the empty text.
func (s *Service) resolve(ctx context.Context, addr string) ([]group.Address, error) {
	if addr == "" {
		return nil, nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, ErrAddress
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if s.cfg.Resolve == nil {
		return nil, fmt.Errorf("%w: names are not looked up", ErrAddress)
	} else if ips, err = s.cfg.Resolve(ctx, host); err != nil {
		return nil, err
	}
	var out []group.Address
	for _, ip := range ips[:min(len(ips), group.MaxAddrs)] {
		out = append(out, group.Address{At: netip.AddrPortFrom(ip.Unmap(), uint16(n))})
	}
	return out, nil
}

// whoIsAt finds the member that is at an address: one that is connected there, or the first
// of the others that answers.
func (s *Service) whoIsAt(ctx context.Context, at []group.Address) (Peer, error) {
	var away []ident.NodeID
	for _, p := range s.Peers() {
		switch {
		case !p.Connected:
			away = append(away, p.ID)
		case p.Direct && slices.Contains(at, group.Address{At: p.Addr}):
			return p, nil
		}
	}
	if len(away) == 0 {
		return Peer{}, fmt.Errorf("%w: all are connected, none at that address", ErrNobody)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.vouch(at)
	var trying sync.WaitGroup
	places := make(chan struct{}, triedAt)
	won := make(chan ident.NodeID, maxTried)
	var last error = overlay.ErrUnreachable // no time for any
	var mu sync.Mutex
	for _, id := range away[:min(len(away), maxTried)] {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		trying.Go(func() {
			defer func() { <-places }()
			err := s.host.Connect(ctx, id, at)
			if err == nil {
				won <- id
				cancel()
				return
			}
			mu.Lock()
			last = err
			mu.Unlock()
		})
	}
	trying.Wait()
	close(won)
	for id := range won {
		p := s.peerOf(id)
		if slices.ContainsFunc(at, func(a group.Address) bool { return p.Direct && a.At.Addr() == p.Addr.Addr() }) {
			return p, nil
		}
		last = fmt.Errorf("%w: who came is somewhere else", ErrNobody) // where it was known to be
	}
	return Peer{}, last
}

// Found tells where a node is, as the local network says: a member is connected to at once.
// It never waits.
func (s *Service) Found(id ident.NodeID, at netip.AddrPort) {
	if !s.isUp() || !s.groups.Known(id) {
		return
	}
	now := time.Now()
	s.mu.Lock()
	next, news := s.found[id].again(at, now, s.here[id])
	if news && len(s.found) >= maxFound {
		clear(s.found)
	}
	s.found[id] = next
	s.mu.Unlock()
	if news {
		s.spawn(func() {
			s.groups.Seek(id)
			// A dial that is under way, perhaps to where it was before, takes this address up.
			ctx, cancel := context.WithTimeout(s.ctx, foundTime)
			defer cancel()
			_ = s.host.Connect(ctx, id, s.vouch([]group.Address{{At: at}})) // Seek goes on if it fails
		})
	}
}

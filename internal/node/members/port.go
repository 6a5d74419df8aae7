package members

import (
	"errors"
	"net/netip"

	"shoal/internal/core/group"
)

// Nodes say of themselves and of others where they are, and so could have all members of a
// group knock at anybody's service. Ports below kad.LeastPort are dialled only where a ticket,
// the person, the local network or an earlier connection led there.
const maxVouched = 256

var errPrivileged = errors.New("members: a port below 1024 that only other nodes name")

// vouch passes on addresses that are not only what other nodes say: see groups.Where.
func (s *Service) vouch(addrs []group.Address) []group.Address {
	for _, a := range addrs {
		if a.At.Port() >= s.cfg.leastPort {
			continue
		}
		s.mu.Lock()
		if len(s.vouched) >= maxVouched {
			clear(s.vouched) // they are vouched for again before they are dialled
		}
		s.vouched[a.At] = true
		s.mu.Unlock()
	}
	return addrs
}

// mayDial is asked at every dial of the overlay's, which also learns addresses by itself.
func (s *Service) mayDial(at netip.AddrPort) error {
	s.mu.Lock()
	vouched := at.Port() >= s.cfg.leastPort || s.vouched[at]
	s.mu.Unlock()
	if !vouched {
		return errPrivileged
	}
	return s.cfg.Overlay.AllowDial(at)
}

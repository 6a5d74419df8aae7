package reach

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Typed are addresses that the person wrote down, for as long as the node runs. Its methods
// may be called from any goroutine.
type Typed struct {
	mu   sync.Mutex
	list []netip.AddrPort // the oldest first
}

// maxTyped bounds them.
const maxTyped = 64

// Add notes a HOST:PORT if it is an address, or this machine: what other names lead to,
// whoever has these names says. The oldest make room.
func (t *Typed) Add(address string) {
	host, port, err := net.SplitHostPort(address)
	hosts := []string{host}
	if host == "localhost" {
		hosts = []string{"127.0.0.1", "::1"}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range hosts {
		a, perr := netip.ParseAddrPort(net.JoinHostPort(h, port))
		if a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()); err == nil && perr == nil && !slices.Contains(t.list, a) {
			t.list = append(t.list, a)
		}
	}
	t.list = slices.Delete(t.list, 0, max(0, len(t.list)-maxTyped))
}

// Has tells whether an address was written down.
func (t *Typed) Has(a netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.list, a)
}

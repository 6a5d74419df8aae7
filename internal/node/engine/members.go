package engine

import "net/netip"

// Recheck is told that memberships changed: sessions and candidates of those who may not see
// a share any more end at once.
func (e *Engine) Recheck() {}

// Moved is told that a better way to the peer of that overlay address opened: its sessions
// are opened anew.
func (e *Engine) Moved(netip.Addr) {}

// Online is told that the machine came back, or that members connected: candidates that wait
// are tried now.
func (e *Engine) Online() {}

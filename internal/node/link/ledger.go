package link

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
)

// Bounds of a Ledger.
const (
	ledgerMost = 1000 // sources remembered
	ledgerShow = 100  // and listed
)

// Source is a peer that gave data.
type Source struct {
	Addr   netip.AddrPort
	Client string
	Bytes  int64
}

// Ledger remembers who gave how much. The zero value is empty; it is for one goroutine.
type Ledger struct{ by map[netip.AddrPort]Source }

// Add counts what a source gave. Nothing is not counted, nor are more sources than are
// worth remembering.
func (l *Ledger) Add(s Source) {
	old, known := l.by[s.Addr]
	if s.Bytes == 0 || !known && len(l.by) >= ledgerMost {
		return
	}
	if l.by == nil {
		l.by = make(map[netip.AddrPort]Source)
	}
	s.Bytes += old.Bytes
	l.by[s.Addr] = s
}

// With is the Ledger with more, which it does not keep.
func (l *Ledger) With(more []Source) *Ledger {
	sum := &Ledger{by: maps.Clone(l.by)}
	for _, s := range more {
		sum.Add(s)
	}
	return sum
}

// List is who gave most, most first.
func (l *Ledger) List() []Source {
	list := slices.SortedFunc(maps.Values(l.by), func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), a.Addr.Compare(b.Addr))
	})
	return list[:min(len(list), ledgerShow)]
}

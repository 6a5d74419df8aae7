package link

import (
	"net/netip"
	"slices"
	"testing"
)

func TestLedger(t *testing.T) {
	at := func(port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	}
	var l Ledger
	l.Add(Source{at(1), "one", 10})
	l.Add(Source{at(2), "two", 20})
	l.Add(Source{at(3), "three", 0})
	l.Add(Source{at(1), "one again", 5})
	want := []Source{{at(2), "two", 20}, {at(1), "one again", 15}}
	if got := l.List(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	sum := l.With([]Source{{at(4), "four", 20}}).List()
	if !slices.Equal(sum, []Source{{at(2), "two", 20}, {at(4), "four", 20}, {at(1), "one again", 15}}) {
		t.Errorf("with more: %+v", sum)
	}
	if got := l.List(); !slices.Equal(got, want) {
		t.Errorf("more was kept: %+v", got)
	}
	for i := range 2 * ledgerMost {
		l.Add(Source{at(i), "", 1})
	}
	if len(l.by) != ledgerMost || len(l.List()) != ledgerShow {
		t.Errorf("%d remembered, %d listed", len(l.by), len(l.List()))
	}
	var none Ledger
	if got := none.With(nil).List(); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

package members

import (
	"net/netip"
	"testing"
	"time"
)

// Who is told of again and again at an address where it does not take us in is tried ever
// less; one that was connected, or that is elsewhere, as soon as ever.
func TestFoundAgainAndAgain(t *testing.T) {
	here, there := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.1:2")
	now := time.Unix(1e9, 0)
	var s sighting
	tried := func(span time.Duration, at netip.AddrPort, connected bool) (n int) {
		for end := now.Add(span); now.Before(end); now = now.Add(5 * time.Second) {
			var news bool
			if s, news = s.again(at, now, connected); news {
				n++
			}
		}
		return n
	}
	for i, c := range []struct {
		span        time.Duration
		at          netip.AddrPort
		connected   bool
		least, most int
	}{
		{time.Minute, here, false, 2, 2},
		{24 * time.Hour, here, false, 100, 24*6 + 8},
		{5 * time.Second, there, false, 1, 1},
		{time.Hour, there, true, 90, 120},
		{time.Minute, there, false, 1, 3},
	} {
		if n := tried(c.span, c.at, c.connected); n < c.least || n > c.most {
			t.Errorf("%d: tried %d times", i, n)
		}
	}
}

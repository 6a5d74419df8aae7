package cli

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for in, want := range map[string]time.Duration{"24h": 24 * time.Hour, "90s": 90 * time.Second, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "365d": 8760 * time.Hour, "2h30m": 150 * time.Minute} {
		var s span
		if err := s.Set(in); err != nil || time.Duration(s) != want {
			t.Errorf("%s: %v %v", in, time.Duration(s), err)
		}
		var again span
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%s is shown as %s", in, s.String())
		}
	}
	for _, in := range []string{"", "5", "d", "-1d", "1d-5h", "-5h", "0s", "0d", "366d", "365d1s", "99999d", "999999d", "9223372036s", "3000000h", "1.5d", "x"} {
		var s span
		if s.Set(in) == nil {
			t.Errorf("%q is %v", in, time.Duration(s))
		}
	}
}

package link

import (
	"strings"

	"shoal/internal/core/swarm"
)

// Flags are the letters that other clients use: D/d we want and are (not) unchoked,
// U/u they want and are (not) unchoked.
func Flags(v swarm.PeerView, fast bool) string {
	var b strings.Builder
	put := func(on bool, yes, no byte, alt bool) {
		if on && alt {
			b.WriteByte(yes)
		} else if on {
			b.WriteByte(no)
		}
	}
	put(v.WeWant, 'D', 'd', !v.TheyChoke)
	put(v.TheyWant, 'U', 'u', !v.WeChoke)
	put(v.Optimistic, 'O', 'O', true)
	put(v.Snubbed, 'S', 'S', true)
	put(fast, 'e', 'e', true)
	return b.String()
}

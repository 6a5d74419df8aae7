package cli

import (
	"testing"

	"shoal/internal/door/api"
)

func TestStateOf(t *testing.T) {
	for want, s := range map[string]api.Share{
		"downloading": {Origin: api.OriginGet, State: api.StateDownloading},
		"changed":     {Origin: api.OriginShare, State: api.StateDownloading},
		"seeding":     {Origin: api.OriginShare, State: api.StateSeeding},
	} {
		if got := stateOf(s); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

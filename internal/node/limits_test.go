package node

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"shoal/internal/door/api"
)

// startNode runs a node of a home on loopback, on any port; it ends with the test.
func startNode(t *testing.T, h *Home, change func(*Options)) *Node {
	t.Helper()
	o := Options{Home: h, Config: DefaultConfig()}
	o.Config.Network.Scope, o.Config.Network.Port = Loopback, 0
	if change != nil {
		change(&o)
	}
	n, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

func stop(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Error(err)
	}
}

func rate(n int64) *api.Rate { r := api.Rate(n); return &r }

// TestLimitsOfTheNode: a flag holds for one run, what `shoal limit` sets is remembered, and
// what nobody set follows config.toml.
func TestLimitsOfTheNode(t *testing.T) {
	h := openHome(t)
	run := func(flags api.LimitChange, fileDown int64, want api.Limits) *Node {
		t.Helper()
		n := startNode(t, h, func(o *Options) {
			o.Limits, o.Config.Limits.Up, o.Config.Limits.Down = flags, 1000, RateText(fileDown)
		})
		if l, err := n.Limits(t.Context(), ""); err != nil || l != want {
			t.Errorf("%+v %v, want %+v", l, err, want)
		}
		return n
	}
	stop(t, run(api.LimitChange{}, 2000, api.Limits{Up: 1000, Down: 2000}))
	stop(t, run(api.LimitChange{Up: rate(5), Down: rate(0)}, 2000, api.Limits{Up: 5}))
	n := run(api.LimitChange{}, 2000, api.Limits{Up: 1000, Down: 2000})
	if l, err := n.SetLimits(t.Context(), "", api.LimitChange{Up: rate(7)}); err != nil || l != (api.Limits{Up: 7, Down: 2000}) {
		t.Errorf("%+v %v", l, err)
	}
	stop(t, n)
	n = run(api.LimitChange{Up: rate(9)}, 3000, api.Limits{Up: 9, Down: 3000})
	if l, err := n.SetLimits(t.Context(), "", api.LimitChange{Down: rate(0)}); err != nil || l != (api.Limits{Up: 9}) {
		t.Errorf("%+v %v", l, err)
	}
	stop(t, n)
	run(api.LimitChange{}, 4000, api.Limits{Up: 7})
}

// TestDamagedLimits are not ignored: a limit may be what keeps a bill small.
func TestDamagedLimits(t *testing.T) {
	for _, text := range []string{"", "{", `{"up":-1}`, `{"up":"much"}`, `{"upp":1}`, "[]"} {
		h := openHome(t)
		if err := os.WriteFile(h.Path(LimitsFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(Options{Home: h, Config: DefaultConfig(), Offline: true}); api.KindOf(err) != api.BadData || !strings.Contains(err.Error(), LimitsFile) {
			t.Errorf("%q: %v", text, err)
		}
		if r, err := Fsck(t.Context(), h.Dir, true); err != nil || !r.Clean || len(r.Problems) != 1 || !r.Problems[0].Repaired {
			t.Errorf("%q repaired: %+v %v", text, r, err)
		}
		startNode(t, h, nil)
	}
}

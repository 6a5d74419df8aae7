package node

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/door/api"
	"shoal/internal/node/groups"
)

// verdicts are those of a node's doctor, by check.
func verdicts(t *testing.T, n *Node) map[string]api.Finding {
	t.Helper()
	list, err := n.Doctor(t.Context())
	if err != nil || len(list) != 16 {
		t.Fatalf("%d findings, %v", len(list), err)
	}
	out := map[string]api.Finding{}
	for _, f := range list {
		out[f.Check] = f
	}
	return out
}

// TestDoctor: what a node gathers of itself leads to the verdicts that fit.
func TestDoctor(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h := openHome(t)
	n := startNode(t, h, func(o *Options) { o.Config.Network.Port = taken.Addr().(*net.TCPAddr).Port })
	if _, err := n.NewGroup(t.Context(), api.GroupRequest{Name: "home"}); err != nil {
		t.Fatal(err)
	}
	got := verdicts(t, n)
	for check, want := range map[string]api.Verdict{
		"node": api.VerdictOK, "key": api.VerdictOK, "clock": api.VerdictOK, "port": api.VerdictWarn, "members": api.VerdictOK, "shares": api.VerdictOK,
		"reach": api.VerdictSkipped, "dht": api.VerdictSkipped, "lan": api.VerdictSkipped, "mapping": api.VerdictSkipped, "relays": api.VerdictSkipped,
	} {
		if got[check].Verdict != want {
			t.Errorf("%+v, want %s", got[check], want)
		}
	}
	for _, f := range got {
		if f.Verdict == api.VerdictBad && f.Check != "reserve" && f.Check != "disk" { // those are this machine's
			t.Errorf("%+v", f)
		}
	}
	if text := got["port"].What; !strings.Contains(text, "taken by ") {
		t.Error(text)
	}
	stop(t, n)

	day := time.Now().Add(24 * time.Hour)
	if err := os.Chtimes(h.Path(KeyFile), day, day); err != nil {
		t.Fatal(err)
	}
	offline := verdicts(t, startNode(t, h, func(o *Options) { o.Offline = true }))
	if offline["node"].Verdict != api.VerdictWarn || offline["port"].Verdict != api.VerdictSkipped || offline["clock"].Verdict != api.VerdictWarn {
		t.Errorf("offline: %+v %+v %+v", offline["node"], offline["port"], offline["clock"])
	}
}

// TestConnectSaysWhy: who does not answer is unreachable, in words for people.
func TestConnectSaysWhy(t *testing.T) {
	n := startNode(t, openHome(t), nil)
	_, err := n.Connect(t.Context(), api.ConnectRequest{Address: "127.0.0.1:1"})
	e := api.AsError(err)
	if api.KindOf(err) != api.Unreachable || e.Remedy == "" || strings.Contains(e.Error(), "overlay:") || e.Subject != "127.0.0.1:1" {
		t.Errorf("got %v", err)
	}
	if _, err = n.Connect(t.Context(), api.ConnectRequest{Address: "192.0.2.7:7463"}); api.KindOf(err) != api.OutOfScope {
		t.Errorf("outside of the scope: %v", err)
	}
}

// TestDoctorWaitsForMembers: a node that has only just begun meets its members before it is
// judged by them.
func TestDoctorWaitsForMembers(t *testing.T) {
	a, h := startHeard(t, "ada"), openHome(t)
	begin := func() *Node { return startNode(t, h, nil) }
	b := begin()
	a.join("home", &heard{b, t, b.Subscribe(1)})
	stop(t, b)
	if f := verdicts(t, begin())["members"]; f.Verdict != api.VerdictOK {
		t.Errorf("%+v", f)
	}
}

// TestJoinSaysWhy: what stood in the way of a join is said without the names of packages.
func TestJoinSaysWhy(t *testing.T) {
	err := groupProblem(fmt.Errorf("%w: %w: nothing listens there", groups.ErrUnreachable, overlay.ErrUnreachable))
	if e := api.AsError(err); e.Kind != api.Unreachable || strings.Contains(e.Reason, "overlay") || !strings.HasSuffix(e.Reason, ": nothing listens there") {
		t.Errorf("%v", err)
	}
}

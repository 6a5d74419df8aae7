package httpd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shoal/internal/door/api"
	"shoal/internal/door/httpd"
	"shoal/internal/door/httpd/fakenode"
)

// TestAudience: groups are named as everywhere, the node gets their ids, and what would tell
// others of the share is refused before anything is hashed.
func TestAudience(t *testing.T) {
	d, ctx := openFake(t), t.Context()
	home, err := d.client.NewGroup(ctx, api.GroupRequest{Name: "home"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.NewGroup(ctx, api.GroupRequest{Name: "out"}); err != nil {
		t.Fatal(err)
	}
	if err := d.node.Expel("out"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	share := func(r api.CreateRequest) (api.Created, error) {
		r.Path = path
		return d.client.Publish(ctx, r, nil)
	}
	made, err := share(api.CreateRequest{Groups: []string{"home", home.ID[:8], home.ID}})
	if err != nil || len(made.Groups) != 1 || made.Groups[0].ID != home.ID || made.Groups[0].Members != 1 || made.Format != "v2" || made.InfoHashV1 != "" {
		t.Fatalf("%+v %v", made, err)
	}
	if s, err := d.client.Share(ctx, "file"); err != nil || len(s.Groups) != 1 || s.Groups[0].Name != "home" {
		t.Errorf("%+v %v", s, err)
	}
	if made, err := share(api.CreateRequest{Groups: []string{"home"}, Format: "hybrid", Name: "old"}); err != nil || made.Format != "hybrid" {
		t.Errorf("a format that was asked for: %+v %v", made, err)
	}
	if made, err := share(api.CreateRequest{Name: "all"}); err != nil || made.Format != "hybrid" || made.Groups != nil {
		t.Errorf("for everybody: %+v %v", made, err)
	}
	to := []string{"home"}
	for what, tc := range map[string]struct {
		r    api.CreateRequest
		want api.Kind
	}{
		"unknown":      {api.CreateRequest{Groups: []string{"nope"}}, api.NotFound},
		"empty":        {api.CreateRequest{Groups: []string{""}}, api.Invalid},
		"removed from": {api.CreateRequest{Groups: []string{"out"}}, api.Refused},
		"many":         {api.CreateRequest{Groups: make([]string, 17)}, api.Invalid},
		"trackers":     {api.CreateRequest{Groups: to, Trackers: []string{"http://192.0.2.1/announce"}}, api.Invalid},
		"peers":        {api.CreateRequest{Groups: to, Peers: []string{"192.0.2.1:7463"}}, api.Invalid},
		"web seeds":    {api.CreateRequest{Groups: to, WebSeeds: []string{"http://192.0.2.1/"}}, api.Invalid},
		"private":      {api.CreateRequest{Groups: to, Private: true}, api.Invalid},
	} {
		if _, err := share(tc.r); kindOf(err) != tc.want {
			t.Errorf("%s: %v, want %s", what, err, tc.want)
		}
	}
}

// TestALinkForOthers: a node that is not in the group is told to ask for an invitation.
func TestALinkForOthers(t *testing.T) {
	d := openFake(t)
	link := "magnet:?xt=urn:btmh:1220" + strings.Repeat("ab", 32) + "&x.group=" + strings.Repeat("cd", 32)
	_, err := d.client.Add(t.Context(), api.AddRequest{Link: link, Dir: t.TempDir()})
	if kindOf(err) != api.Refused || !strings.Contains(err.Error(), "shoal join") {
		t.Errorf("got %v", err)
	}
}

func TestPeersAndConnect(t *testing.T) {
	d, ctx := openFake(t), t.Context()
	c := d.client
	if p, err := c.Peers(ctx); err != nil || p.Members == nil || p.Peers == nil || len(p.Members)+len(p.Peers) > 0 {
		t.Errorf("nobody: %+v %v", p, err)
	}
	ask := func(node, addr string) (api.Connection, error) {
		return c.Connect(ctx, api.ConnectRequest{Node: node, Address: addr})
	}
	if _, err := ask("bea", ""); kindOf(err) != api.NotFound || !strings.Contains(err.Error(), "shoal join") {
		t.Errorf("in no group: %v", err)
	}
	for _, name := range []string{"busy", "busy2"} {
		if _, err := c.NewGroup(ctx, api.GroupRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := c.Peers(ctx)
	if err != nil || len(p.Members) != 3 || p.Members[2].Connected || len(p.Members[0].Groups) != 2 {
		t.Errorf("%+v %v", p, err)
	}
	// A member that is called as this node is is meant, for this node cannot be.
	if err := d.node.Come(p.Members[0].Groups[0].ID); err != nil {
		t.Fatal(err)
	}
	d.node.Rename(fakenode.Self, "guest")
	if got, err := ask("guest", ""); err != nil || got.Member.NodeID != fakenode.Inviter {
		t.Errorf("guest: %+v %v", got, err)
	}
	d.node.Rename(fakenode.Self, "here")
	for _, who := range []string{"bea", fakenode.Bea, "abea"} {
		if got, err := ask(who, ""); err != nil || got.Member == nil || got.Member.NodeID != fakenode.Bea {
			t.Errorf("%s: %+v %v", who, got, err)
		}
	}
	if _, err := ask("dora", ""); err == nil || !strings.HasPrefix(err.Error(), "dora: ") {
		t.Errorf("a failure is about who was named: %v", err)
	}
	if got, err := ask("", "192.0.2.7"); err != nil || got.Member == nil || got.Address != "192.0.2.7:7463" {
		t.Errorf("an address without a port: %+v %v", got, err)
	}
	if got, err := ask("", "192.0.2.53:6881"); err != nil || !got.DHT {
		t.Errorf("a node of the DHT: %+v %v", got, err)
	}
	for what, tc := range map[string]struct {
		node, addr string
		want       api.Kind
	}{
		"nothing":    {"", "", api.Invalid},
		"itself":     {"here", "", api.Invalid},
		"nobody":     {"nobody", "", api.NotFound},
		"offline":    {"dora", "", api.Unreachable},
		"no answer":  {"", "192.0.2.99:1", api.Unreachable},
		"no address": {"bea", "192.0.2.7:port", api.Invalid},
	} {
		if _, err := ask(tc.node, tc.addr); kindOf(err) != tc.want {
			t.Errorf("%s: %v, want %s", what, err, tc.want)
		}
	}
}

func TestDoctorCall(t *testing.T) {
	d := openFake(t)
	d.node.Sick = []string{"no space"}
	list, err := d.client.Doctor(t.Context())
	if err != nil || len(list) != 4 || list[3].Verdict != api.VerdictBad || list[3].Do == "" {
		t.Errorf("%+v %v", list, err)
	}
	if resp, _ := d.do(t, "GET", "/api/v1/doctor", ""); resp.StatusCode != 405 {
		t.Errorf("GET writes a file to measure the disk: %d", resp.StatusCode)
	}
}

func TestMetricsOfGroups(t *testing.T) {
	d := openFake(t)
	if _, err := d.client.NewGroup(t.Context(), api.GroupRequest{Name: "busy"}); err != nil {
		t.Fatal(err)
	}
	_, body := d.do(t, "GET", "/metrics", "")
	for _, line := range []string{"shoal_members 3", "shoal_members_online 2", "shoal_dht_nodes 412", "shoal_relay_used_bytes 1200000000",
		`shoal_locator_useful_bytes_total{locator="mainline"} 80000000`, `shoal_locator_questions_total{locator="tracker"} 12`} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	n := fakenode.New(new(fakenode.World))
	plain := open(t, n, httpd.Node{Shares: n, Control: n, Limits: n, Status: n, Events: &n.Bus})
	if _, body := plain.do(t, "GET", "/metrics", ""); strings.Contains(body, "shoal_members") {
		t.Error("a node without groups counts members")
	}
}

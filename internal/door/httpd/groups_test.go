package httpd_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/httpd"
	"shoal/internal/door/httpd/fakenode"
)

// TestNoGroupsNoCalls: a node without groups serves and describes nothing of them.
func TestNoGroupsNoCalls(t *testing.T) {
	n := fakenode.New(new(fakenode.World))
	plain := httpd.Node{Shares: n, Control: n, Limits: n, Status: n, Events: &n.Bus}
	d := open(t, n, plain)
	whole := strings.Join(httpd.RouteList(plain), "\n")
	_, text := d.do(t, "GET", "/api/v1/openapi.json", "")
	for _, path := range []string{"/api/v1/groups", "/api/v1/join", "/api/v1/id", "/api/v1/peers", "/api/v1/connect", "/api/v1/doctor"} {
		if resp, body := d.do(t, "GET", path, ""); resp.StatusCode != 404 || !strings.Contains(body, "no such path") {
			t.Errorf("%s is answered %d %s", path, resp.StatusCode, body)
		}
		if strings.Contains(text, path) || strings.Contains(whole, path) {
			t.Errorf("%s is described", path)
		}
	}
	if strings.Contains(text, "GroupEvent") || strings.Contains(text, "MemberEvent") {
		t.Error("events of groups are described")
	}
}

func TestGroupCalls(t *testing.T) {
	d, ctx := openFake(t), t.Context()
	c := d.client
	if id, err := c.Identity(ctx); err != nil || id.NodeID != fakenode.Self || id.Code == "" {
		t.Errorf("id: %+v %v", id, err)
	}
	if list, err := c.Groups(ctx); err != nil || list == nil || len(list) > 0 {
		t.Errorf("no groups: %v %v", list, err)
	}
	home, err := c.NewGroup(ctx, api.GroupRequest{Name: "home"})
	if err != nil || home.Rights != api.RightsAdmin || home.Members != 1 {
		t.Fatalf("new: %+v %v", home, err)
	}
	inv, err := c.Invite(ctx, "home", api.InviteRequest{})
	if err != nil || inv.Uses != 1 || inv.Rights != api.RightsMember || inv.Expires.Sub(d.node.Now()).Hours() != 24 || inv.Group != home.ID {
		t.Fatalf("invite: %+v %v", inv, err)
	}
	if err := d.node.Come(home.ID); err != nil {
		t.Fatal(err)
	}
	g, err := c.Group(ctx, home.ID[:4])
	if err != nil || g.Members != 2 || len(g.MemberList) != 2 || len(g.TicketList) != 1 {
		t.Fatalf("show: %+v %v", g, err)
	}
	if m, err := c.RemoveMember(ctx, "home", fakenode.Inviter[len(fakenode.Inviter)-4:]); err != nil || m.NodeID != fakenode.Inviter {
		t.Errorf("remove: %+v %v", m, err)
	}
	if r, err := c.Revoke(ctx, "home"); err != nil || r.Tickets != 1 {
		t.Errorf("revoke: %+v %v", r, err)
	}
	a, err := c.Join(ctx, fakenode.Ticket)
	if err != nil || a.Inviter != fakenode.Inviter || a.Code == "" || a.Already {
		t.Errorf("join: %+v %v", a, err)
	}
	// Upper case is what a QR code holds.
	if a, err := c.Join(ctx, " "+strings.ToUpper(fakenode.Ticket)+"\n"); err != nil || !a.Already {
		t.Errorf("join again: %+v %v", a, err)
	}
	if left, err := c.LeaveGroup(ctx, a.Name); err != nil || left.ID != a.Group || left.Members != 1 || left.Told != 1 {
		t.Errorf("leave: %+v %v", left, err)
	}
	if list, err := c.Groups(ctx); err != nil || len(list) != 1 {
		t.Errorf("list: %v %v", list, err)
	}
}

// TestGroupRefusals: what is wrong is judged before the node sees it, and names of others
// never stand for an id.
func TestGroupRefusals(t *testing.T) {
	d, ctx := openFake(t), t.Context()
	c := d.client
	home, err := c.NewGroup(ctx, api.GroupRequest{Name: "home"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{home.ID[:12], home.ID, "twin", "twin"} {
		if _, err := c.NewGroup(ctx, api.GroupRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Join(ctx, fakenode.Ticket); err != nil {
		t.Fatal(err)
	}
	if g, err := c.Group(ctx, home.ID); err != nil || g.Name != "home" {
		t.Errorf("another group is called like this one's id: %+v %v", g, err)
	}
	invite := func(g string, r api.InviteRequest) error { _, err := c.Invite(ctx, g, r); return err }
	for what, tc := range map[string]struct {
		err  error
		want api.Kind
	}{
		"unknown group":      {second(c.Group(ctx, "nope")), api.NotFound},
		"too short":          {second(c.Group(ctx, home.ID[:3])), api.NotFound},
		"name like a prefix": {second(c.Group(ctx, home.ID[:12])), api.Ambiguous},
		"twins":              {second(c.LeaveGroup(ctx, "twin")), api.Ambiguous},
		"no name":            {second(c.NewGroup(ctx, api.GroupRequest{})), api.Invalid},
		"long name":          {second(c.NewGroup(ctx, api.GroupRequest{Name: strings.Repeat("x", 65)})), api.Invalid},
		"itself":             {second(c.RemoveMember(ctx, "home", "here")), api.Invalid},
		"unknown member":     {second(c.RemoveMember(ctx, "home", "nobody")), api.NotFound},
		"no admin removes":   {second(c.RemoveMember(ctx, "family", fakenode.Inviter)), api.Refused},
		"no admin invites":   {invite("family", api.InviteRequest{}), api.Refused},
		"many uses":          {invite("home", api.InviteRequest{Uses: 101}), api.Invalid},
		"negative uses":      {invite("home", api.InviteRequest{Uses: -1}), api.Invalid},
		"short":              {invite("home", api.InviteRequest{Expires: 0.5}), api.Invalid},
		"long":               {invite("home", api.InviteRequest{Expires: 366 * 86400}), api.Invalid},
		"rights":             {invite("home", api.InviteRequest{Rights: "king"}), api.Invalid},
		"unreachable":        {second(c.Join(ctx, fakenode.FarTicket)), api.Unreachable},
	} {
		if kindOf(tc.err) != tc.want {
			t.Errorf("%s: %v, want %s", what, tc.err, tc.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestOneAnswerToBadTickets: whatever is wrong with a ticket, the answer is the same in
// every byte, and never holds any of it.
func TestOneAnswerToBadTickets(t *testing.T) {
	d := openFake(t)
	want := ""
	for i := -3; i < len(fakenode.Ticket); i++ {
		ticket := ""
		switch i {
		case -3: // none at all
		case -2:
			ticket = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"
		case -1:
			ticket = fakenode.Ticket + "a"
		default:
			b := []byte(fakenode.Ticket)
			if b[i]++; b[i] == 'z'+1 {
				b[i] = 'a'
			}
			ticket = string(b)
		}
		body, _ := json.Marshal(api.JoinRequest{Ticket: ticket})
		resp, got := d.do(t, "POST", "/api/v1/join", string(body))
		if want == "" {
			want = got
		}
		if resp.StatusCode != 422 || got != want {
			t.Fatalf("byte %d: %d %s, want %s", i, resp.StatusCode, got, want)
		}
	}
	if p := (api.Problem{}); json.Unmarshal([]byte(want), &p) != nil || p.Exit != api.ExitData || strings.Contains(want, "shoal:join") {
		t.Error(want)
	}
}

func TestGroupEvents(t *testing.T) {
	d, ctx := openFake(t), t.Context()
	got := make(chan api.Event, 16)
	stop := make(chan error, 1)
	go func() {
		stop <- d.client.Watch(ctx, api.Filter{}, func(e api.Event) error { got <- e; return nil })
	}()
	for tick := time.NewTicker(time.Millisecond); !d.node.Bus.Listening(); {
		<-tick.C
	}
	home, err := d.client.NewGroup(ctx, api.GroupRequest{Name: "home"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.node.Come(home.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.RemoveMember(ctx, "home", fakenode.Inviter); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.LeaveGroup(ctx, "home"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{api.EventGroupJoined, api.EventMemberJoined, api.EventMemberRemoved, api.EventGroupLeft} {
		switch e := (<-got).(type) {
		case *api.GroupEvent:
			if e.Event != want || e.Group != home.ID || e.Name != "home" {
				t.Errorf("%+v, want %s", e, want)
			}
		case *api.MemberEvent:
			if e.Event != want || e.NodeID != fakenode.Inviter || (e.Code != "") != (want == api.EventMemberJoined) {
				t.Errorf("%+v, want %s", e, want)
			}
		default:
			t.Errorf("%T", e)
		}
	}
	d.node.Bus.Close()
	if err := <-stop; err != nil {
		t.Error(err)
	}
}

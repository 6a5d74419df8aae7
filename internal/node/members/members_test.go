package members

import (
	"net"
	"testing"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/node/groups"
)

// A ticket joins two nodes: both see one code, the lists agree, and streams are opened both
// ways at once.
func TestTicket(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	began := time.Now()
	g := a.found("home")
	events, end := a.Groups().Watch()
	defer end()
	got := a.invites("home", b)
	if got.Group != g || got.Inviter != a.id() || got.InviterName != "node b" {
		t.Errorf("%+v", got)
	}
	for e := range events {
		if e.Kind == groups.MemberJoined {
			if e.Node != b.id() || e.Code != got.Code || len(e.Code) < 12 {
				t.Errorf("%+v; the joiner saw %q", e, got.Code)
			}
			break
		}
	}
	a.echo()
	b.echo()
	for _, p := range [][2]*node{{b, a}, {a, b}} {
		c := p[0].dial(p[1])
		say(t, c, "hello")
		for _, at := range []struct {
			got  net.Addr
			want ident.NodeID
		}{{c.RemoteAddr(), p[1].id()}, {c.LocalAddr(), p[0].id()}} {
			if at.got.(*net.TCPAddr).AddrPort() != at.want.Addr() {
				t.Errorf("%v is not the overlay address of %v", at.got, at.want)
			}
		}
		if !p[0].Member(g, p[1].id().Addr().Addr()) || p[0].Member(g, ident.NodeID{1}.Addr().Addr()) {
			t.Error("who is a member")
		}
		if id, ok := p[0].NodeOf(p[1].id().Addr().Addr()); !ok || id != p[1].id() {
			t.Error("whose the address is")
		}
	}
	t.Logf("from start to streams both ways: %v", time.Since(began))
}

package members

import (
	"context"
	"errors"
	"testing"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
)

// Who is no member is let in for the time of a join and no longer: not when a dial was on
// its way as it was removed, and not by a ticket that leads nowhere.
func TestStrangersAreNotMet(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	if err := a.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	err := carrier{a.Service}.Connect(soon(t), b.id(), []group.Address{{At: b.at}})
	if !errors.Is(err, overlay.ErrStranger) || a.known(b.id()) {
		t.Errorf("%v, known: %v", err, a.known(b.id()))
	}
	b.found("home")
	tk, _, err := b.Groups().Invite("home", 1, time.Hour, group.Member, nil)
	if err != nil {
		t.Fatal(err)
	}
	tk.Secret[0] ^= 1
	if _, err := a.Join(soon(t), tk.String()); !errors.Is(err, group.ErrTicket) {
		t.Errorf("%v", err)
	}
	if a.known(b.id()) || len(a.joining) > 0 {
		t.Error("the inviter is still known")
	}
	within(t, patience, "no connection", func() bool { return len(a.connected()) == 0 })
}

// Who has no time left to try anybody is told that nobody was reached.
func TestConnectWithoutTime(t *testing.T) {
	all, _ := cast(t, 2, nil)
	a, b := all[0], all[1]
	a.sees(Connected, b) // b's end stands earlier
	b.Close()
	a.sees(Disconnected, b)
	over, end := context.WithCancel(context.Background())
	end()
	for range 20 { // what is over and what is ready are chosen between by lot
		if p, err := a.Connect(over, "", b.at.String()); err == nil {
			t.Fatalf("%+v", p)
		}
	}
}

package members

import (
	"net"
	"strings"
	"testing"
	"time"

	"shoal/internal/core/group"
)

// Who is dialled in vain and comes by itself meanwhile has its session at once.
func TestComesWhileDialled(t *testing.T) {
	for what, lost := range map[string]bool{"away": false, "lost a moment ago": true} {
		t.Run(what, func(t *testing.T) { comesWhileDialled(t, lost) })
	}
}

func comesWhileDialled(t *testing.T, lost bool) {
	all, _ := cast(t, 2, nil)
	a, b := all[0], all[1]
	a.Close()
	within(t, patience, "nobody is connected", func() bool { return len(b.connected()) == 0 })
	if lost { // and the keeper has not heard of it yet
		b.mu.Lock()
		b.here[a.id()] = true
		b.mu.Unlock()
	}
	hole, err := net.Listen("tcp4", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	b.host.Learn(a.id(), []group.Address{{At: hole.Addr().(*net.TCPAddr).AddrPort()}})
	dialled := make(chan net.Conn, 1)
	go func() {
		c, err := b.Dial(soon(t), a.id().Addr())
		if err != nil {
			t.Error(err)
		}
		dialled <- c
	}()
	silent, err := hole.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a.begin()
	a.echo()
	if _, err := a.Connect(soon(t), b.id().String(), b.at.String()); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "it has come", func() bool { return len(b.host.Peers()) == 1 })
	began := time.Now()
	c := <-dialled
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the session came %v after the connection", took)
	}
	if c == nil {
		t.FailNow()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	say(t, c, "hello")
	if why := b.host.Why(a.id()); strings.Contains(why, "cancel") {
		t.Errorf("why it is not reached better: %s", why)
	}
}

package overlay

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// TestReason: a person is told what became of each way, once, with the addresses, and in no
// notation that nobody reads.
func TestReason(t *testing.T) {
	at := func(s string, err error) swarm.TransportError {
		return swarm.TransportError{Address: ma.StringCast(s), Cause: fmt.Errorf("dial %s: %w", s, err)}
	}
	d := &swarm.DialError{Cause: swarm.ErrAllDialsFailed, DialErrors: []swarm.TransportError{
		at("/ip4/192.0.2.7/tcp/7463", syscall.ECONNREFUSED), at("/ip6/2001:db8::7/tcp/7463", syscall.ECONNREFUSED),
		at("/ip4/192.0.2.7/udp/7463/quic-v1", context.DeadlineExceeded), at("/ip4/192.0.2.7/udp/7463/quic-v1", context.DeadlineExceeded),
	}}
	const want = "nothing listens there (192.0.2.7:7463, [2001:db8::7]:7463); no answer in time (192.0.2.7:7463)"
	if got := reason(fmt.Errorf("failed: %w", d)); got != want {
		t.Errorf("%q", got)
	}
	if got := reason(&swarm.DialError{Cause: swarm.ErrNoAddresses}); got != "no address of it is known" {
		t.Errorf("%q", got)
	}
	if got := reason(errors.New("two\n  lines")); got != "two lines" {
		t.Errorf("%q", got)
	}
}

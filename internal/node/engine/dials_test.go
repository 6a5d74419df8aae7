package engine

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/porch"
)

// late is a way that takes its time.
type late struct {
	way
	after time.Duration
}

func (l *late) Seek(ctx context.Context, o Offer, found func([]netip.AddrPort)) {
	select {
	case <-time.After(l.after):
		l.way.Seek(ctx, o, found)
	case <-ctx.Done():
	}
}

// deaf makes every address of 10.9.0.0/16 one where nobody answers.
func deaf(c *Config) {
	dial := c.Dial
	c.Dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		if !netip.MustParsePrefix("10.9.0.0/16").Contains(to.Addr()) {
			return dial(ctx, to)
		}
		select {
		case <-time.After(porch.Timeout):
		case <-ctx.Done():
		}
		return nil, os.ErrDeadlineExceeded
	}
}

// TestDeafStrangers: however many strangers' addresses lead nowhere, in this share and in
// others, whom a person, the local network or a member names is dialled at once.
func TestDeafStrangers(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	var nobody []netip.AddrPort
	for i := range 100 {
		nobody = append(nobody, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), 1))
	}
	for _, from := range []candidates.Source{candidates.FromPerson, candidates.FromLAN, candidates.FromMember} {
		homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			a := w.resident(t, homes[0], k, 1)
			strangers := &way{open: true, source: candidates.FromDHT, found: nobody}
			known := &late{way: way{source: from}, after: 2 * time.Second}
			b := w.resident(t, homes[1], k, 2, with(strangers, known), deaf)
			defer w.close(a.node, b.node)
			a.offer(x)
			switch from {
			case candidates.FromLAN:
				known.found = []netip.AddrPort{a.plain.at}
			case candidates.FromMember:
				known.found = []netip.AddrPort{a.overlay.at}
			}
			for i := range byte(5) { // others, that nobody has
				b.fetch(Spec{Magnet: magnet(metainfo.InfoHash{V1: [20]byte{i + 1}, Version: metainfo.V1}), Dir: filepath.Join(dir, "others")})
			}
			b.fetch(Spec{Meta: x.meta, Dir: dir})
			<-time.After(2 * time.Second)
			if from == candidates.FromPerson {
				if _, err := b.AddPeers(x.meta.Hash.ID(), []string{a.plain.at.String()}); err != nil {
					t.Fatal(err)
				}
			}
			begun := time.Now()
			b.waitDone(x.meta.Hash)
			if took := time.Since(begun); took > time.Second {
				t.Errorf("%v: it took %v", from, took)
			}
		})
	}
}

// TestServedComesBack: whoever has given something is dialled again seconds after the
// connection has ended, however it was learnt of.
func TestServedComesBack(t *testing.T) {
	x := make1(t, 64*testPiece, store.CreateOptions{Version: metainfo.V2})
	for _, from := range []candidates.Source{candidates.FromPerson, candidates.FromMember, candidates.FromPeer, candidates.FromDHT} {
		homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			a := w.resident(t, homes[0], k, 1, func(c *Config) {
				c.Allow = func(netip.AddrPort, swarmSource) error { return errFull } // it dials nobody
			})
			b := w.resident(t, homes[1], k, 2, with(&way{source: from, found: []netip.AddrPort{a.plain.at}}))
			defer w.close(a.node, b.node)
			a.offer(x)
			if err := a.SetLimits("", 1<<19, 0); err != nil {
				t.Fatal(err)
			}
			b.fetch(Spec{Meta: x.meta, Dir: dir})
			<-time.After(2 * time.Second)
			for _, on := range []bool{true, false} {
				if _, err := a.SetPaused(x.meta.Hash.ID(), on); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := b.Payload()
			<-time.After(5 * time.Second)
			if after, _ := b.Payload(); before == 0 || after == before {
				t.Errorf("%v: had %d bytes, and %d five seconds later", from, before, after)
			}
		})
	}
}

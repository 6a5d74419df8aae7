package engine

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
)

// brittle are the connections that a node dials over the overlay, until they are lost.
type brittle struct {
	mu    sync.Mutex
	begun []time.Time
	lost  chan struct{}
}

// brittle has what the node dials over the overlay end in an error when it is lost.
func (r *brittle) option(c *Config) {
	dial := c.Dial
	r.lost = make(chan struct{})
	c.Dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.begun = append(r.begun, time.Now())
		nc, err := dial(ctx, to)
		if err != nil {
			return nil, err
		}
		lost := r.lost
		go func() { <-lost; nc.Close() }()
		return &lossy{nc.(*pipe), lost}, nil
	}
}

// lose ends them, and tells when.
func (r *brittle) lose() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.lost)
	r.lost = make(chan struct{})
	return time.Now()
}

// since are the dials from a time on, and the first of them.
func (r *brittle) since(at time.Time) (n int, first time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.begun {
		if b.Before(at) {
			continue
		}
		if n++; n == 1 {
			first = b.Sub(at)
		}
	}
	return n, first
}

type lossy struct {
	*pipe
	lost chan struct{}
}

func (l *lossy) Read(b []byte) (int, error) {
	n, err := l.pipe.Read(b)
	select {
	case <-l.lost:
		return n, syscall.ECONNRESET
	default:
		return n, err
	}
}

// TestLostSession: a session that is lost with its carrier is opened anew at once, for another
// carrier may stand; one that is lost as soon as it began waits, so that nothing storms.
func TestLostSession(t *testing.T) {
	x := make1(t, 64*testPiece, store.CreateOptions{Version: metainfo.V2})
	homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, k, r := &network{delay: time.Millisecond}, &club{}, &brittle{}
		a, b := w.resident(t, homes[0], k, 1), w.resident(t, homes[1], k, 2, r.option)
		defer w.close(a.node, b.node)
		defer r.lose()
		a.offer(x)
		if err := a.SetLimits("", 1<<19, 0); err != nil {
			t.Fatal(err)
		}
		b.fetch(Spec{Magnet: magnet(x.meta.Hash), Dir: dir, Peers: []string{a.overlay.at.String()}})
		<-time.After(5 * time.Second)
		at := r.lose()
		<-time.After(500 * time.Millisecond)
		if n, first := r.since(at); n != 1 || first > 250*time.Millisecond {
			t.Errorf("%d dials, the first after %v", n, first)
		}
		at = r.lose()
		<-time.After(500 * time.Millisecond)
		if n, first := r.since(at); n != 0 {
			t.Errorf("lost at once, it was dialled after %v", first)
		}
		b.waitDone(x.meta.Hash)
		sameTree(t, x.path, filepath.Join(dir, "content"))
	})
}

// TestOnlineWhileDialling: a member that comes while it is dialled in vain is dialled again as
// soon as that has failed.
func TestOnlineWhileDialling(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, k := &network{delay: time.Millisecond}, &club{}
		const failed = 5 * time.Second
		begun := time.Now()
		b := w.resident(t, homes[1], k, 2, func(c *Config) {
			dial := c.Dial
			c.Dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
				if rest := failed - time.Since(begun); rest > 0 {
					<-time.After(rest)
					return nil, syscall.ETIMEDOUT
				}
				return dial(ctx, to)
			}
		})
		a := w.resident(t, homes[0], k, 1)
		defer w.close(a.node, b.node)
		a.offer(x)
		b.fetch(Spec{Meta: x.meta, Dir: dir, Peers: []string{a.overlay.at.String()}})
		<-time.After(2 * time.Second)
		b.Online(a.overlay.at.Addr())
		b.waitDone(x.meta.Hash)
		if took := time.Since(begun); took > failed+time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestComesAgainSoon: a member that comes again some seconds after it was dialled has lost
// that session, and is not sent away.
func TestComesAgainSoon(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	home := t.TempDir()
	for _, id := range []string{wire.PeerIDPrefix, "-XX0000-", wire.PeerIDPrefix + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			b := w.resident(t, t.TempDir(), k, 1)
			defer w.close(b.node)
			friend := w.host(overlayAddr(2).String())
			defer friend.Close()
			name := x.meta.Hash.V2Short()
			padded := (id + "--------------------")[:20]
			friend.stranger(t, name, padded, func(p *rawPeer) { p.next() })
			b.fetch(Spec{Meta: x.meta, Dir: home, Peers: []string{friend.at.String()}})
			<-time.After(5 * time.Second)
			p := friend.greet(t, b.overlay.at, name, wire.PeerID([]byte(padded)), 0)
			ended := false
			go func() { p.next(); ended = true }()
			<-time.After(time.Second)
			synctest.Wait()
			if ended || len(b.peers(x.meta.Hash.ID())) != 1 {
				t.Errorf("%q was sent away: %t", padded, ended)
			}
			p.nc.Close()
		})
	}
}

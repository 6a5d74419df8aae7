//go:build linux

package lab

import (
	"context"
	"crypto/ed25519"
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shoal/bench/measure"
	"shoal/internal/core/group"
)

// refusal is how a ticket that does not lead in is answered, in every byte.
type refusal struct {
	code        int
	out, stderr string
}

func (n *node) joins(ctx context.Context, ticket string) refusal {
	n.t.Helper()
	r := n.run(ctx, "join", ticket)
	return refusal{r.code, string(r.out), r.stderr}
}

// TestTicketsThatLeadNowhere: a ticket with any byte changed, expired, used, revoked or of
// another group is refused by `join` with the same words, and names nobody.
func TestTicketsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	ctx := deadline(t, 100*time.Second)
	wire := newBridge(t, "wire")
	spaces := map[string]*node{}
	for i, name := range []string{"host", "guest", "late"} {
		s := newSpace(t, name)
		wire.plug(s, fmt.Sprintf("10.9.0.%d/24", i+1))
		spaces[name] = newNode(t, s)
		spaces[name].up(ctx)
	}
	host, guest, late := spaces["host"], spaces["guest"], spaces["late"]
	host.ok(ctx, "group", "new", "mine")
	host.ok(ctx, "group", "new", "other")
	good := host.invite(ctx, "mine")
	want := guest.joins(ctx, "shoal:join/")
	if want.code != 4 || strings.Count(want.stderr, "\n") != 1 || want.out == "" {
		t.Fatalf("no ticket at all: %+v", want)
	}
	same := func(what, ticket string, n *node) {
		t.Helper()
		if got := n.joins(ctx, ticket); got != want {
			t.Errorf("%s: %+v, not %+v", what, got, want)
		}
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimPrefix(good, group.TicketScheme)))
	must(t, err)
	var all sync.WaitGroup
	next := atomic.Int64{}
	for range 4 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(raw); i = int(next.Add(1)) - 1 {
				b := append([]byte(nil), raw...)
				b[i] ^= 1 << (i % 8)
				text := group.TicketScheme + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
				if r := guest.joins(ctx, text); r != want {
					t.Errorf("byte %d changed: %+v, not %+v", i, r, want)
				}
			}
		})
	}
	all.Wait()
	// What has the right sum and is wrong all the same is judged by who invites.
	parsed, err := group.ParseTicket(good)
	must(t, err)
	forged := parsed
	forged.Secret[7] ^= 1
	same("another secret", forged.String(), guest)
	forged = parsed
	forged.Group[7] ^= 1
	same("a group that nobody has", forged.String(), guest)
	other, err := group.ParseTicket(host.invite(ctx, "other"))
	must(t, err)
	forged = parsed
	forged.Group = other.Group
	same("a group that it is not of", forged.String(), guest)
	host.ok(ctx, "invite", "other", "--revoke")
	same("revoked", other.String(), guest)
	short := host.invite(ctx, "mine", "--expires", "1s")
	expired, err := group.ParseTicket(short)
	must(t, err)
	must(t, poll(ctx, func() (bool, error) { return time.Now().Unix() > int64(expired.Expires), nil }))
	same("expired", short, guest)
	// None of this has used it up, and once it is, it is no good to others.
	guest.ok(ctx, "join", good)
	same("used", good, late)
	if g := said[struct{ Members int }](ctx, host, "group", "show", "mine"); g.Members != 2 {
		t.Errorf("the group has %d members, not 2", g.Members)
	}
}

// TestStreamsWithoutEnd: a member, and a stranger, open streams as fast as they can and never
// end one. The node stays small and serves an honest member meanwhile.
func TestStreamsWithoutEnd(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	ctx := deadline(t, 80*time.Second)
	wire := newBridge(t, "wire")
	spaces := map[string]*node{}
	ups := map[string]*proc{}
	for i, name := range []string{"host", "honest", "rogue"} {
		s := newSpace(t, name)
		wire.plug(s, fmt.Sprintf("10.9.0.%d/24", i+1))
		spaces[name] = newNode(t, s)
		ups[name] = spaces[name].up(ctx)
	}
	host, honest, bad := spaces["host"], spaces["honest"], spaces["rogue"]
	host.ok(ctx, "group", "new", "yard")
	host.admit(ctx, "yard", honest)
	host.admit(ctx, "yard", bad)
	ups["rogue"].kill()
	host.untilPeer(ctx, bad, "gone", func(c contact) bool { return !c.Connected })
	path := filepath.Join(t.TempDir(), "some.bin")
	must(t, measure.WriteFile(path, "some", 8<<20))
	s := host.publish(ctx, path, "--to", "yard")
	for _, who := range []struct {
		name   string
		member bool
	}{{"a member", true}, {"a stranger", false}} {
		t.Run(who.name, func(t *testing.T) {
			key := freshKey(t)
			if who.member {
				key = bad.keyOf()
			}
			var r *rogue
			must(t, poll(ctx, func() (ok bool, err error) { // until the flood before is forgiven
				r, err = newRogue(ctx, bad.s, "10.9.0.1:7463", key)
				return err == nil, err
			}))
			if ok, err := r.speaks(ctx, swarmProtocol); err != nil || ok != who.member {
				t.Errorf("it may open streams of shares: %v %v", ok, err)
			}
			r.close()
			before := host.used(ctx, ups["host"])
			flooded, stop := context.WithCancel(ctx)
			var opened, visits atomic.Int64
			done := make(chan struct{})
			go func() {
				defer close(done)
				endless(flooded, bad.s, key, &opened, &visits)
			}()
			must(t, poll(ctx, func() (bool, error) { return opened.Load() > 5000, nil }))
			out := t.TempDir()
			began := time.Now()
			honest.ok(ctx, "get", s.Link, "-o", out)
			within(t, "an honest member is served", began, goOnTime)
			same(t, path, out)
			honest.ok(ctx, "rm", s.InfoHash)
			now := host.used(ctx, ups["host"])
			t.Logf("%d streams opened in %d visits; %+v before, %+v under it", opened.Load(), visits.Load(), before, now)
			if now.goroutines > before.goroutines+1500 || now.files > before.files+64 {
				t.Errorf("%+v before, %+v under %d streams", before, now, opened.Load())
			}
			stop()
			<-done
			if now := peakMiB(ups["host"].PID()); now > 160 {
				t.Errorf("%.0f MiB resident at most", now)
			}
		})
	}
	host.untilPeer(ctx, bad, "gone", func(c contact) bool { return !c.Connected })
}

// endless opens streams and ends none; thrown out, it comes again.
func endless(ctx context.Context, from *space, key ed25519.PrivateKey, opened, visits *atomic.Int64) {
	for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		r, err := newRogue(ctx, from, "10.9.0.1:7463", key)
		if err != nil {
			continue
		}
		visits.Add(1)
		for ctx.Err() == nil && err == nil {
			_, err = r.open(append(token(multistream), token(swarmProtocol)...), false)
			opened.Add(1)
		}
		r.close()
	}
}

// peakMiB is the most memory that a process had resident.
func peakMiB(pid int) (mib float64) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			var kb float64
			_, _ = fmt.Sscan(rest, &kb)
			mib = kb / 1024
		}
	}
	return mib
}

//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/bench/measure"
)

// goOnTime is how long a transfer may stand still once there is a way again.
const goOnTime = 15 * time.Second

// journey is a transfer under way between two homes, beside a member with a public address.
type journey struct {
	*world
	t                   *testing.T
	member, left, right *node
	memberUp            *proc
	leftUp, rightUp     *proc
	s                   shared
	path, out           string
	get                 *proc
	step                int64 // more than what is on its way and held by who relays
}

// newJourney begins a transfer that takes long enough to be disturbed.
func newJourney(ctx context.Context, t *testing.T, kind translation, size int64) *journey {
	t.Helper()
	w := newWorld(t, kind)
	j := &journey{world: w, t: t, step: 8 << 20, member: newNode(t, w.public("member", 1)), left: newNode(t, w.left), right: newNode(t, w.right)}
	j.memberUp = j.member.up(ctx)
	j.member.ok(ctx, "group", "new", "road")
	j.leftUp = j.left.up(ctx)
	j.member.admit(ctx, "road", j.left, "--admin")
	j.rightUp = j.right.up(ctx)
	j.left.admit(ctx, "road", j.right)
	j.path, j.out = filepath.Join(t.TempDir(), "load.bin"), t.TempDir()
	must(t, measure.WriteFile(j.path, "load", size))
	j.s = j.left.publish(ctx, j.path, "--to", "road", "--piece-size", "256K")
	if kind == independent {
		j.right.untilPeer(ctx, j.left, "a direct way", direct)
	} else {
		j.step = 24 << 20
	}
	w.internet.rate("right", "100mbit")
	j.get = j.right.start("get", j.s.Link, "-o", j.out)
	j.moves(ctx)
	return j
}

// done is how much has been verified.
func (j *journey) done(ctx context.Context) int64 {
	return j.right.until(ctx, j.s.InfoHash, "the share", func(share) bool { return true }).Done
}

// moves waits until a step more has come.
func (j *journey) moves(ctx context.Context) {
	j.t.Helper()
	had := j.done(ctx)
	j.right.until(ctx, j.s.InfoHash, "more of it", func(v share) bool { return v.Wanted > 0 && v.Done >= min(had+j.step, v.Wanted) })
}

// stands waits until nothing has come for a while.
func (j *journey) stands(ctx context.Context, still time.Duration) {
	j.t.Helper()
	last, since := int64(-1), time.Now()
	must(j.t, poll(ctx, func() (bool, error) {
		if d := j.done(ctx); d != last {
			last, since = d, time.Now()
		}
		return time.Since(since) >= still, nil
	}))
}

// goesOn fails unless the transfer moves again in time.
func (j *journey) goesOn(ctx context.Context, what string) {
	j.t.Helper()
	began := time.Now()
	j.moves(ctx)
	within(j.t, what+": goes on", began, goOnTime)
}

// arrives waits for the end and compares.
func (j *journey) arrives(ctx context.Context) {
	j.t.Helper()
	if v := j.right.until(ctx, j.s.InfoHash, "the share", func(share) bool { return true }); v.Done == v.Wanted {
		j.t.Error("the transfer was over before all was done to it")
	}
	j.internet.unbound("right")
	if r := j.get.wait(ctx); r.code != 0 {
		j.t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	same(j.t, j.path, j.out)
}

// TestLinksComeAndGo cuts links under a transfer, changes addresses on both sides and within,
// and suspends nodes: it goes on each time.
func TestLinksComeAndGo(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	for _, c := range []struct {
		name string
		kind translation
	}{{"direct", independent}, {"relayed", dependent}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := deadline(t, 4*time.Minute)
			j := newJourney(ctx, t, c.kind, 288<<20)
			for _, side := range []string{"right", "left"} {
				j.internet.cut(side)
				j.stands(ctx, 2*time.Second)
				j.internet.mend(side)
				j.goesOn(ctx, "the link of "+side+" is mended")
			}
			for _, home := range []struct {
				host, router *space
				net          string
				n            int
			}{{j.world.left, j.leftRouter, "192.168.1", 101}, {j.world.right, j.rightRouter, "10.1.0", 102}} {
				// Another address in the home, as a new lease brings.
				home.host.sh("ip", "addr", "flush", "dev", "eth0")
				home.host.address("eth0", home.net+".77/24")
				home.host.route("default", home.net+".1")
				j.goesOn(ctx, home.host.name+" has another address")
				// Another address of the home, as providers give over night.
				home.router.sh("ip", "addr", "flush", "dev", "out0")
				home.router.address("out0", fmt.Sprintf("11.0.%d.77/24", home.n))
				home.router.route("default", fmt.Sprintf("11.0.%d.1", home.n))
				j.goesOn(ctx, home.router.name+" has another address")
			}
			j.arrives(ctx)
		})
	}
}

// TestSuspended stops a node for a minute, or for ten seconds where time is short, as a
// laptop that is closed does: the other side goes on with who is left, and with it when it
// is back.
func TestSuspended(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	ctx := deadline(t, 5*time.Minute)
	asleep := 10 * time.Second
	if long() {
		asleep = time.Minute
	}
	j := newJourney(ctx, t, independent, 256<<20)
	for _, p := range []*proc{j.leftUp, j.rightUp} {
		must(t, p.Signal(syscall.SIGSTOP))
		<-time.After(asleep)
		must(t, p.Signal(syscall.SIGCONT))
		j.goesOn(ctx, "a node is awake again")
	}
	// With a second source the transfer does not even wait for the one that sleeps. Until that
	// one has all of it, however long it takes, the transfer is not to end.
	j.right.ok(ctx, "limit", j.s.InfoHash, "--down", "100K")
	j.member.start("get", j.s.Link, "-o", t.TempDir())
	j.member.until(ctx, j.s.InfoHash, "all of it", func(v share) bool { return v.Wanted > 0 && v.Done == v.Wanted })
	j.right.ok(ctx, "limit", j.s.InfoHash, "--down", "unlimited")
	j.moves(ctx)
	must(t, j.leftUp.Signal(syscall.SIGSTOP))
	j.goesOn(ctx, "one of two sources sleeps")
	must(t, j.leftUp.Signal(syscall.SIGCONT))
	j.arrives(ctx)
}

// TestNodesDie kills the node that gives, and the one through which two others reach each
// other: the transfer goes on when it is back, and through another member.
func TestNodesDie(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	for _, c := range []struct {
		name string
		kind translation
	}{{"direct", independent}, {"relayed", dependent}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := deadline(t, 3*time.Minute)
			j := newJourney(ctx, t, c.kind, 288<<20)
			spare := newNode(t, j.public("spare", 2))
			spareUp := spare.up(ctx)
			j.left.admit(ctx, "road", spare)
			j.right.untilPeer(ctx, spare, "connected", connected)
			j.leftUp.kill()
			j.leftUp = j.left.up(ctx)
			j.goesOn(ctx, "who gives is back")
			if c.kind == dependent {
				by := map[string]*proc{j.member.id: j.memberUp, spare.id: spareUp}
				at := j.right.untilPeer(ctx, j.left, "a relay", func(c contact) bool { return c.Relay != nil && by[c.Relay.NodeID] != nil })
				by[at.Relay.NodeID].kill()
				j.step = 4 << 20 // what it held has gone with it
				j.goesOn(ctx, at.Relay.Name+", which relayed, is gone")
			} else {
				// Neither needs the others to go on with each other.
				j.memberUp.kill()
				spareUp.kill()
				j.goesOn(ctx, "everybody else is gone")
			}
			j.arrives(ctx)
		})
	}
}

// use is what a process holds.
type use struct {
	goroutines, files, sockets int
	rss                        float64 // MiB
}

// used looks at a node's process.
func (n *node) used(ctx context.Context, p *proc) (u use) {
	n.t.Helper()
	var text string
	must(n.t, n.ask(ctx, "GET", "/metrics", &text))
	for l := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(l, "shoal_goroutines "); ok {
			u.goroutines, _ = strconv.Atoi(strings.TrimSpace(v))
		}
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID()))
	must(n.t, err)
	for _, f := range fds {
		at, err := os.Readlink(f)
		if err == nil {
			u.files++
		}
		if strings.HasPrefix(at, "socket:") {
			u.sockets++
		}
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	must(n.t, err)
	for l := range strings.Lines(string(b)) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "VmRSS:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			u.rss = kb / 1024
		}
	}
	return u
}

// settled is the least that a node holds in the seconds after another has left it: what
// comes and goes by itself is not counted.
func (n *node) settled(ctx context.Context, p *proc, gone *node) use {
	n.t.Helper()
	n.untilPeer(ctx, gone, "gone", func(c contact) bool { return !c.Connected })
	u, until := n.used(ctx, p), time.Now().Add(4*time.Second)
	must(n.t, poll(ctx, func() (bool, error) {
		now := n.used(ctx, p)
		u = use{min(u.goroutines, now.goroutines), min(u.files, now.files), min(u.sockets, now.sockets), min(u.rss, now.rss)}
		return time.Now().After(until), nil
	}))
	return u
}

// TestComingAndGoing connects and disconnects a member again and again, politely and by
// kill -9, each time with a little fetched: nothing of it stays with the other.
func TestComingAndGoing(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	rounds := 12
	if long() {
		rounds = 200
	}
	ctx := deadline(t, time.Duration(rounds)*3*time.Second+time.Minute)
	wire := newBridge(t, "wire")
	stays, comes := newSpace(t, "stays"), newSpace(t, "comes")
	wire.plug(stays, "10.9.0.1/16")
	wire.plug(comes, "10.9.0.2/16")
	a, b := newNode(t, stays), newNode(t, comes)
	home := a.up(ctx)
	a.ok(ctx, "group", "new", "door")
	up := b.up(ctx)
	a.admit(ctx, "door", b)
	path := filepath.Join(t.TempDir(), "small.bin")
	must(t, measure.WriteFile(path, "small", 1<<20))
	s := a.publish(ctx, path, "--to", "door")
	var first use
	var slow [2]time.Duration // to leave, to come back
	for i := range rounds {
		out := t.TempDir()
		b.ok(ctx, "get", s.Link, "-o", out)
		if i == rounds-1 {
			same(t, path, out)
		}
		b.ok(ctx, "rm", s.InfoHash)
		began := time.Now()
		if i%2 == 0 {
			up.kill()
		} else {
			must(t, up.Signal(syscall.SIGTERM))
			up.wait(ctx)
		}
		slow[0] = max(slow[0], time.Since(began))
		if i == 3 {
			first = a.settled(ctx, home, b)
		}
		// From one address alone only so many may come in a minute.
		comes.sh("ip", "addr", "flush", "dev", "eth0")
		comes.address("eth0", fmt.Sprintf("10.9.%d.2/16", i+1))
		comes.multicast("eth0")
		began = time.Now()
		up = b.up(ctx)
		b.untilPeer(ctx, a, "back", connected)
		slow[1] = max(slow[1], time.Since(began))
	}
	t.Logf("slowest: to leave %v, to be back %v", slow[0].Round(time.Millisecond), slow[1].Round(time.Millisecond))
	up.kill()
	last := a.settled(ctx, home, b)
	t.Logf("after 4 rounds %+v, after %d %+v", first, rounds, last)
	if last.goroutines > first.goroutines+8 || last.files > first.files+4 || last.sockets > first.sockets+4 || last.rss > first.rss+24 {
		t.Errorf("after 4 rounds %+v, after %d %+v", first, rounds, last)
	}
}

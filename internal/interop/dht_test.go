//go:build linux

package interop

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
	"shoal/internal/node/dht"
)

//go:embed dht_libtorrent.py
var dhtLibtorrent string

// dhtTime bounds each test with a DHT.
const dhtTime = 40 * time.Second

// startDHT runs a node of ours at an address of its own until the test ends.
func startDHT(t *testing.T, host string) (*dht.DHT, netip.AddrPort) {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr(host), clients.PeerPort)
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	d := dht.New(dht.Config{
		Kad:  kad.Config{Allow: func(netip.AddrPort) bool { return true }},
		Send: func(to netip.AddrPort, b []byte) { socket.WriteToUDPAddrPort(b, to) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	running.Go(func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			d.Datagram(b[:n], from)
		}
	})
	t.Cleanup(func() {
		cancel()
		socket.Close()
		running.Wait()
	})
	return d, at
}

// crowd is a number of libtorrent sessions in one process.
type crowd struct {
	t       *testing.T
	ctx     context.Context
	process *clients.Process
	hosts   []string
	number  int
}

func startCrowd(ctx context.Context, t *testing.T, l *clients.Lab, count int) *crowd {
	t.Helper()
	home, err := l.Folder("dht")
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, ctx: ctx}
	for range count {
		c.hosts = append(c.hosts, l.Host())
	}
	job, err := json.Marshal(map[string]any{"hosts": c.hosts, "port": clients.PeerPort, "dir": home})
	if err != nil {
		t.Fatal(err)
	}
	py, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Fatal(err)
	}
	c.process, err = l.Run(clients.Command{Name: "libtorrent", Path: py, Args: []string{"-W", "ignore", "-c", dhtLibtorrent, string(job)}, Logs: home})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.process.Line(ctx, func(b []byte) bool { return bytes.HasPrefix(b, []byte("READY")) }); err != nil {
		t.Fatal(err)
	}
	return c
}

// do has one session do something and waits for what comes of it.
func (c *crowd) do(session int, what string, args map[string]any) any {
	c.t.Helper()
	c.number++
	all := map[string]any{"number": c.number, "session": session, "do": what}
	for k, v := range args {
		all[k] = v
	}
	line, err := json.Marshal(all)
	if err == nil {
		err = c.process.Tell(string(line))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	mine := fmt.Appendf(nil, `{"number": %d,`, c.number)
	line, err = c.process.Line(c.ctx, func(b []byte) bool { return bytes.HasPrefix(b, mine) })
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	var got struct{ Value any }
	if err := json.Unmarshal(line, &got); err != nil {
		c.t.Fatal(err)
	}
	return got.Value
}

// at is where a session listens.
func (c *crowd) at(session int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(c.hosts[session]), clients.PeerPort)
}

// nodes are addresses as the sessions take them.
func nodes(list ...netip.AddrPort) map[string]any {
	var all [][2]any
	for _, a := range list {
		all = append(all, [2]any{a.Addr().String(), a.Port()})
	}
	return map[string]any{"nodes": all}
}

// mixed makes one DHT of 40 libtorrent sessions and five nodes of ours. Each begins with
// a few that it is told of: of ours with libtorrent's, and the other way round.
func mixed(ctx context.Context, t *testing.T, l *clients.Lab) (*crowd, []*dht.DHT, []netip.AddrPort) {
	c := startCrowd(ctx, t, l, 40)
	var ours []*dht.DHT
	var at []netip.AddrPort
	for range 5 {
		d, a := startDHT(t, l.Host())
		ours, at = append(ours, d), append(at, a)
	}
	for i := range c.hosts {
		c.do(i, "meet", nodes(at[i%5], c.at((i+7)%40), c.at((i+23)%40)))
	}
	for i, d := range ours {
		d.Add(c.at(8*i), c.at(8*i+3))
	}
	for _, d := range ours {
		select {
		case <-d.Ready():
		case <-ctx.Done():
			t.Fatal("no node answers")
		}
	}
	return c, ours, at
}

// again repeats what may need another moment until it is done.
func again(ctx context.Context, t *testing.T, what string, try func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !try() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		case <-tick.C:
		}
	}
}

// TestDHTWithLibtorrent: nodes of ours and of libtorrent are one network. What either
// announces or puts the other finds (BEP 5, BEP 44).
func TestDHTWithLibtorrent(t *testing.T) {
	t.Parallel()
	need(t, is(clients.Libtorrent()))
	ctx, l := testlab.Deadline(t, dhtTime), testlab.New(t)
	c, ours, at := mixed(ctx, t, l)
	hash := func(text string) krpc.ID { return sha1.Sum([]byte(text)) }

	c.do(11, "announce", map[string]any{"hash": hash("theirs").String()})
	again(ctx, t, "a peer that libtorrent announced", func() bool {
		var got []netip.AddrPort
		_, err := ours[2].Peers(ctx, hash("theirs"), 0, func(list []netip.AddrPort) { got = append(got, list...) })
		return err == nil && slices.Contains(got, c.at(11))
	})
	r, err := ours[1].Announce(ctx, hash("ours"), clients.PeerPort, nil)
	if err != nil || r.Stored < 8 {
		t.Errorf("announced: %+v, %v", r, err)
	}
	again(ctx, t, "a peer that we announced", func() bool {
		list, _ := c.do(30, "peers", map[string]any{"hash": hash("ours").String()}).([]any)
		return slices.Contains(list, any(at[1].String()))
	})
	items(ctx, t, c, ours)
	for i, d := range ours {
		h, n := d.Health(), d.Counted()
		t.Logf("node %d: %d nodes, %d good, %d asked, %d lost, %d malformed, network of about %d", i, h.Nodes, h.Good, n.Asked, n.Lost, n.Malformed, d.Size())
		if n.Malformed > 0 {
			t.Errorf("node %d: %d messages of libtorrent not understood", i, n.Malformed)
		}
	}
}

// items puts and gets items, both ways round.
func items(ctx context.Context, t *testing.T, c *crowd, ours []*dht.DHT) {
	t.Helper()
	get := func(target krpc.ID, salt []byte) string {
		it, _, err := ours[3].Get(ctx, target, salt)
		if err != nil || it == nil {
			t.Fatalf("get %v: %v, %v", target, it, err)
		}
		return string(it.Value)
	}
	c.do(5, "put", map[string]any{"value": "put by libtorrent"})
	theirs := []byte("17:put by libtorrent")
	if got := get(krpc.ImmutableTarget(theirs), nil); got != string(theirs) {
		t.Errorf("an item of theirs: %q", got)
	}
	fixed := &krpc.Item{Value: []byte("12:put by shoal")}
	if r, err := ours[0].Put(ctx, fixed, nil); err != nil || r.Stored == 0 {
		t.Errorf("put: %+v, %v", r, err)
	}
	if got := c.do(33, "get", map[string]any{"target": fixed.Target().String()}); got != "put by shoal" {
		t.Errorf("an item of ours: %v", got)
	}

	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	key := ed25519.NewKeyFromSeed(seed)
	public := hex.EncodeToString(key.Public().(ed25519.PublicKey))
	c.do(6, "put_mutable", map[string]any{"seed": hex.EncodeToString(seed), "key": public, "value": "theirs", "salt": "a"})
	if got := get(krpc.MutableTarget([32]byte(key.Public().(ed25519.PublicKey)), []byte("a")), []byte("a")); got != "6:theirs" {
		t.Errorf("a mutable item of theirs: %q", got)
	}
	for seq := range int64(2) {
		value := fmt.Sprintf("ours %d", seq)
		it := &krpc.Item{Mutable: true, Salt: []byte("b"), Seq: seq + 1, Value: fmt.Appendf(nil, "%d:%s", len(value), value)}
		it.Sign(key)
		if r, err := ours[0].Put(ctx, it, nil); err != nil || r.Stored == 0 {
			t.Errorf("put: %+v, %v", r, err)
		}
		if got := c.do(20, "get_mutable", map[string]any{"key": public, "salt": "b"}); got != value {
			t.Errorf("a mutable item of ours: %v, not %q", got, value)
		}
	}
}

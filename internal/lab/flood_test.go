//go:build linux

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Bounds of a flood of questions.
const (
	floodRate  = 50_000 // questions a second
	floodTime  = 5 * time.Second
	floodShare = 0.75 // of one core, what it may cost; the machine has other work to do
	honestPart = 0.95 // of honest questions that are answered meanwhile
)

// queries are what a flood asks: each kind of KRPC question, of nodes, peers and items.
var queries = map[string]string{
	"ping":        "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXXe1:q4:ping1:t2:aa1:y1:qe",
	"find_node":   "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXX6:target20:XXXXXXXXXXXXXXXXXXXXe1:q9:find_node1:t2:aa1:y1:qe",
	"both nodes":  "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXX6:target20:XXXXXXXXXXXXXXXXXXXX4:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe",
	"get_peers":   "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXX9:info_hash20:XXXXXXXXXXXXXXXXXXXXe1:q9:get_peers1:t2:aa1:y1:qe",
	"get":         "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXX6:target20:XXXXXXXXXXXXXXXXXXXXe1:q3:get1:t2:aa1:y1:qe",
	"sample":      "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXX6:target20:XXXXXXXXXXXXXXXXXXXXe1:q17:sample_infohashes1:t2:aa1:y1:qe",
	"announce":    "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXX9:info_hash20:XXXXXXXXXXXXXXXXXXXX4:porti6881e5:token4:abcde1:q13:announce_peer1:t2:aa1:y1:qe",
	"unknown":     "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXXe1:q4:vote1:t2:aa1:y1:qe",
	"not KRPC":    "d1:ad2:id20:XXXXXXXXXXXXXXXXXXXX",
	"not bencode": "hello there, whoever you are",
}

// question is a query with numbers of its own in place of its ids.
func question(kind string, n uint64) []byte {
	id := fmt.Sprintf("%020d", n*0x9e3779b97f4a7c15)
	return []byte(strings.ReplaceAll(queries[kind], strings.Repeat("X", 20), id[:20]))
}

// cpu is the time that a process has used.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, err := strconv.Atoi(f[11])
	must(t, err)
	system, err := strconv.Atoi(f[12])
	must(t, err)
	return time.Duration(user+system) * time.Second / 100
}

// dhtOf is a node of the public DHT with a few others that it knows, and an attacker's
// computer with many addresses.
func dhtOf(ctx context.Context, t *testing.T) (w *world, n *node, up *proc, attacker *space) {
	t.Helper()
	w = newWorld(t, independent)
	n = newNode(t, w.public("target", 1))
	up = n.up(ctx)
	for i := range 3 {
		newNode(t, w.public(fmt.Sprintf("node%d", i), 2+i), `bootstrap = ["11.0.1.2:7463"]`).up(ctx)
	}
	attacker = w.public("attacker", 66)
	for i := 3; i < 35; i++ {
		attacker.address("eth0", fmt.Sprintf("11.0.66.%d/24", i))
	}
	return w, n, up, attacker
}

// TestFloodOfQuestions asks a node of the DHT 50,000 things a second from many addresses: it
// costs a bounded part of one core, and who asks honestly is answered.
func TestFloodOfQuestions(t *testing.T) {
	needNetworks(t) // alone: it measures time of the processor
	ctx := deadline(t, 60*time.Second)
	w, n, up, attacker := dhtOf(ctx, t)
	honest := w.public("honest", 9).listenUDP("0.0.0.0:0")
	if got := getPeers(t, honest, "11.0.1.2:7463", [20]byte{1}); got == nil {
		t.Fatal("the node does not answer at all")
	}
	var kinds []string
	for k := range queries {
		kinds = append(kinds, k)
	}
	flooded, stop := context.WithCancel(ctx)
	defer stop()
	var sent atomic.Int64
	go flood(flooded, t, attacker, kinds, &sent)
	must(t, poll(ctx, func() (bool, error) { return sent.Load() > floodRate/2, nil }))

	began, used, from := time.Now(), cpu(t, up.PID()), sent.Load()
	asked, answered := 0, 0
	var slowest time.Duration
	// Who asks more than five times a second is not honest.
	for tick := time.NewTicker(250 * time.Millisecond); time.Since(began) < floodTime; {
		<-tick.C
		asked++
		at := time.Now()
		_, err := honest.WriteToUDPAddrPort(question("find_node", uint64(asked)), netip.MustParseAddrPort("11.0.1.2:7463"))
		must(t, err)
		must(t, honest.SetReadDeadline(time.Now().Add(time.Second)))
		if _, _, err := honest.ReadFromUDPAddrPort(make([]byte, 2000)); err == nil {
			answered++
			slowest = max(slowest, time.Since(at))
		}
	}
	took := time.Since(began)
	share := (cpu(t, up.PID()) - used).Seconds() / took.Seconds()
	rate := float64(sent.Load()-from) / took.Seconds()
	t.Logf("%.0f questions a second cost %.0f %% of a core; %d of %d honest ones were answered, the slowest after %v; %.0f MiB resident",
		rate, 100*share, answered, asked, slowest.Round(time.Millisecond), peakMiB(up.PID()))
	if rate < 0.5*floodRate { // the machine may be busy
		t.Errorf("only %.0f questions a second were asked", rate)
	}
	if share > floodShare {
		t.Errorf("the flood costs %.0f %% of a core, at most %.0f %%", 100*share, 100*floodShare)
	}
	if float64(answered) < honestPart*float64(asked) {
		t.Errorf("%d of %d honest questions were answered", answered, asked)
	}
	if mib := peakMiB(up.PID()); mib > 96 {
		t.Errorf("%.0f MiB resident", mib)
	}
	var status string
	must(t, n.ask(ctx, "GET", "/api/v1/status", &status))
}

// flood asks at floodRate from all addresses of a computer until the context ends.
func flood(ctx context.Context, t *testing.T, from *space, kinds []string, sent *atomic.Int64) {
	var socks []*net.UDPConn
	if err := from.in(func() error {
		for i := 2; i < 35; i++ {
			c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(11, 0, 66, byte(i))})
			if err != nil {
				return err
			}
			socks = append(socks, c)
		}
		return nil
	}); err != nil {
		t.Error(err)
		return
	}
	defer func() {
		for _, c := range socks {
			c.Close()
		}
	}()
	to := netip.MustParseAddrPort("11.0.1.2:7463")
	began := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := int64(0); ctx.Err() == nil; {
		for due := int64(time.Since(began).Seconds() * floodRate); n < due; n++ {
			_, _ = socks[int(n)%len(socks)].WriteToUDPAddrPort(question(kinds[int(n)%len(kinds)], uint64(n)), to)
		}
		sent.Store(n)
		<-tick.C
	}
}

// TestAnswersAreSmall: an answer to an address that has proven nothing has at most three
// times the bytes of the question, headers counted, or somebody else's address could be
// put into it.
func TestAnswersAreSmall(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	ctx := deadline(t, 60*time.Second)
	_, _, _, attacker := dhtOf(ctx, t)
	const headers = 28 // IPv4 and UDP
	for kind := range queries {
		c := attacker.listenUDP("0.0.0.0:0")
		q := question(kind, 7)
		_, err := c.WriteToUDPAddrPort(q, netip.MustParseAddrPort("11.0.1.2:7463"))
		must(t, err)
		in, asked := 0, 0
		b := make([]byte, 4000)
		must(t, c.SetReadDeadline(time.Now().Add(500*time.Millisecond)))
		for {
			n, _, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				break
			}
			// Who asks is asked, too, before anything is believed: that is no answer.
			if strings.HasSuffix(string(b[:n]), "1:y1:qe") {
				asked += n + headers
			} else {
				in += n + headers
			}
		}
		t.Logf("%s: %d bytes for %d, and %d of questions", kind, in, len(q)+headers, asked)
		if in > 3*(len(q)+headers) {
			t.Errorf("%s: %d bytes in answer to %d", kind, in, len(q)+headers)
		}
		if strings.HasPrefix(kind, "find") && in == 0 {
			t.Errorf("%s is not answered", kind)
		}
	}
}

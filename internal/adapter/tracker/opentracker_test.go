package tracker

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// freePort is a port that is free for TCP and UDP on loopback.
func freePort(t *testing.T) int {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp4", l.Addr().String())
		l.Close()
		if err == nil {
			u.Close()
			return port
		}
	}
	t.Fatal("no port is free for both TCP and UDP")
	return 0
}

// startOpentracker runs opentracker on loopback for the info hash known, and gives
// its port when it serves that. Debian's serves only hashes that its whitelist names.
func startOpentracker(t *testing.T, known [20]byte) int {
	t.Helper()
	bin, err := exec.LookPath("opentracker")
	if err != nil {
		if os.Getenv("SHOAL_REQUIRE_PEERS") == "1" {
			t.Fatal("opentracker is not installed, and SHOAL_REQUIRE_PEERS=1 demands it")
		}
		t.Skip("opentracker is not installed (Debian: opentracker)")
	}
	dir, port := t.TempDir(), freePort(t)
	config := fmt.Sprintf("listen.tcp_udp 127.0.0.1:%d\naccess.whitelist whitelist\ntracker.rootdir %s\ntracker.user nobody\n", port, dir)
	for name, text := range map[string]string{"whitelist": hex.EncodeToString(known[:]) + "\n", "config": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var output bytes.Buffer
	cmd := exec.Command(bin, "-f", filepath.Join(dir, "config"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("opentracker said: %s", output.Bytes())
		}
	})
	for tick, last := time.NewTicker(20*time.Millisecond), time.After(30*time.Second); ; {
		err := comesAndGoes(port, known)
		if err == nil {
			tick.Stop()
			return port
		}
		select {
		case <-tick.C:
		case <-last:
			t.Fatalf("opentracker does not serve: %v", err)
		}
	}
}

// comesAndGoes has a peer come to opentracker and leave again. opentracker listens before it has
// read its whitelist, and until then it refuses every hash.
func comesAndGoes(port int, hash [20]byte) error {
	var escaped strings.Builder
	for _, b := range hash {
		fmt.Fprintf(&escaped, "%%%02x", b)
	}
	for _, event := range []string{"started", "stopped"} {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/announce?info_hash=%s&peer_id=-XX0000-comesandgoes&port=1&left=0&compact=1&event=%s", port, &escaped, event))
		if err != nil {
			return err
		}
		said, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		res.Body.Close()
		if err != nil || bytes.Contains(said, []byte("failure reason")) {
			return fmt.Errorf("%s: %q, %v", event, said, err)
		}
	}
	return nil
}

// A foreign tracker over both protocols: it knows us, names us to the next, counts
// us, forgets us, and refuses what it doesn't serve.
func TestOpentracker(t *testing.T) {
	known := [20]byte([]byte("\x00\x7f\xff &=%+?/ shoal    "))
	port := startOpentracker(t, known)
	for i, url := range []string{
		fmt.Sprintf("http://127.0.0.1:%d/announce", port),
		fmt.Sprintf("udp://127.0.0.1:%d/announce", port),
	} {
		t.Run(url[:4], func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			c := newClient(t, Config{})
			seed := Request{InfoHash: known, PeerID: [20]byte([]byte("-SL0100-seedseedseed")), Port: uint16(7001 + 10*i), Event: Started, Key: 1}
			leech := Request{InfoHash: known, PeerID: [20]byte([]byte("-SL0100-leechleechle")), Port: uint16(7002 + 10*i), Event: Started, Key: 2, Left: 5, NumWant: 50}

			if _, err := c.Announce(ctx, url, seed); err != nil {
				t.Fatal(err)
			}
			res, err := c.Announce(ctx, url, leech)
			if err != nil {
				t.Fatal(err)
			}
			at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), seed.Port)
			if !slices.Contains(res.Peers, at) || res.Seeders != 1 || res.Leechers != 1 || res.Interval < time.Minute {
				t.Errorf("%+v", res)
			}
			counts, err := c.Scrape(ctx, url, [][20]byte{known})
			if err != nil || !counts[0].Known || counts[0].Seeders != 1 || counts[0].Leechers != 1 {
				t.Errorf("scrape: %+v, %v", counts, err)
			}

			leech.Event, leech.Left = Completed, 0
			if res, err = c.Announce(ctx, url, leech); err != nil || res.Seeders != 2 {
				t.Errorf("completed: %+v, %v", res, err)
			}
			for _, r := range []Request{seed, leech} {
				r.Event = Stopped
				if _, err := c.Announce(ctx, url, r); err != nil {
					t.Errorf("stopped: %v", err)
				}
			}
			if counts, err = c.Scrape(ctx, url, [][20]byte{known}); err != nil || counts[0].Seeders != 0 || counts[0].Completed != i+1 {
				t.Errorf("scrape: %+v, %v", counts, err)
			}

			seed.InfoHash[0]++
			// Over HTTP it says why; over UDP it sends an answer without a body.
			var f *Failure
			if _, err := c.Announce(ctx, url, seed); !errors.Is(err, ErrAnswer) && (!errors.As(err, &f) || f.Reason == "") {
				t.Errorf("another hash: %v", err)
			}
		})
	}
}

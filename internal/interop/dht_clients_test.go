//go:build linux

package interop

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
	"shoal/internal/core/kad/krpc"
	"shoal/internal/node/dht"
)

// ring is a DHT of nodes of ours alone, at addresses that no program refuses, and the place
// of one of them where it takes connections.
type ring struct {
	nodes []*dht.DHT
	at    []netip.AddrPort
	door  net.Listener // at the address of the first
}

// ringNodes is enough for transmission, which asks a DHT of eight nodes or less nothing.
const ringNodes = 14

func startRing(ctx context.Context, t *testing.T, l *clients.Lab) *ring {
	t.Helper()
	if !clients.Isolated() {
		need(t, func() error { return errors.New("this machine allows no network namespaces") })
	}
	r := &ring{}
	for range ringNodes {
		d, at := startDHT(t, l.PrivateHost())
		r.nodes, r.at = append(r.nodes, d), append(r.at, at)
		d.Add(r.at[0])
	}
	again(ctx, t, "the nodes know each other", func() bool {
		return !slices.ContainsFunc(r.nodes, func(d *dht.DHT) bool { return d.Len() < 4 })
	})
	door, err := net.Listen("tcp", r.at[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Close() })
	r.door = door
	return r
}

// comes waits for a connection from a host.
func (r *ring) comes(ctx context.Context, t *testing.T, host string) {
	t.Helper()
	stop := context.AfterFunc(ctx, func() { r.door.Close() })
	defer stop()
	for {
		c, err := r.door.Accept()
		if err != nil {
			t.Fatalf("nobody came from %s: %v", host, err)
		}
		from := c.RemoteAddr().(*net.TCPAddr).AddrPort()
		c.Close()
		if from.Addr().String() == host {
			return
		}
	}
}

// throughDHT starts a program that knows one node of ours and an info hash, and nothing
// else: it must find the peer that another node announced, and be found if that is wanted.
func throughDHT(t *testing.T, client *clients.Client, found bool, start func(l *clients.Lab, host, home, torrent string, nodes []netip.AddrPort) clients.Command) {
	t.Parallel()
	need(t, is(client), is(clients.Libtorrent()))
	ctx, l := testlab.Deadline(t, pairTime), testlab.New(t)
	r := startRing(ctx, t, l)
	dir, name := content(t, true)
	path, made := torrent(ctx, t, clients.MakeRequest{Path: filepath.Join(dir, name), Format: clients.V1, Piece: pieceLength})
	b, err := hex.DecodeString(made.V1)
	hash, ok := krpc.IDOf(b)
	if err != nil || !ok {
		t.Fatalf("%q: %v", made.V1, err)
	}
	if a, err := r.nodes[0].Announce(ctx, hash, clients.PeerPort, nil); err != nil || a.Stored < 8 {
		t.Fatalf("announced: %+v, %v", a, err)
	}
	home, err := l.Folder(client.Name)
	if err != nil {
		t.Fatal(err)
	}
	host := l.PrivateHost()
	if _, err := l.Run(start(l, host, home, path, r.at[5:])); err != nil {
		t.Fatal(err)
	}
	r.comes(ctx, t, host)
	if !found {
		return
	}
	again(ctx, t, "what the program announced", func() bool {
		var got []netip.AddrPort
		_, err := r.nodes[9].Peers(ctx, hash, 0, func(list []netip.AddrPort) { got = append(got, list...) })
		return err == nil && slices.Contains(got, netip.AddrPortFrom(netip.MustParseAddr(host), clients.PeerPort))
	})
}

// TestDHTWithAria2: aria2c finds a peer through the DHT alone, and announces itself.
func TestDHTWithAria2(t *testing.T) {
	throughDHT(t, clients.Aria2(), true, func(l *clients.Lab, host, home, torrent string, nodes []netip.AddrPort) clients.Command {
		return clients.Command{Name: "aria2", Path: "aria2c", Logs: home, Args: []string{"--no-conf", "--enable-dht=true", "--enable-dht6=false",
			"--dht-entry-point=" + nodes[0].String(), fmt.Sprintf("--dht-listen-port=%d", clients.PeerPort), "--dht-file-path=" + filepath.Join(home, "dht.dat"),
			"--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6=true", "--interface=" + host,
			fmt.Sprintf("--listen-port=%d", clients.PeerPort), "--dir=" + home, "--summary-interval=0", torrent}}
	})
}

// TestDHTWithTransmission: transmission-daemon finds a peer through the DHT alone. It lets up
// to half a minute pass before it looks, and about as long again before it announces itself,
// which is not waited for.
func TestDHTWithTransmission(t *testing.T) {
	throughDHT(t, clients.Transmission(), false, func(l *clients.Lab, host, home, torrent string, nodes []netip.AddrPort) clients.Command {
		watch := filepath.Join(home, "watch")
		settings, err := json.Marshal(map[string]any{
			"bind-address-ipv4": host, "bind-address-ipv6": "::1", "rpc-enabled": false, "peer-port": clients.PeerPort,
			"dht-enabled": true, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false,
			"encryption": 0, "download-dir": home, "watch-dir": watch, "watch-dir-enabled": true,
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(home, "settings.json"), settings, 0o600)
		}
		if err == nil {
			var list []byte // it asks these two seconds apart, and others it only hears of far more slowly
			for _, a := range nodes {
				list = fmt.Appendf(list, "%s %d\n", a.Addr(), a.Port())
			}
			err = os.WriteFile(filepath.Join(home, "dht.bootstrap"), list, 0o600)
		}
		if err == nil {
			err = os.Mkdir(watch, 0o700)
		}
		if err == nil {
			err = os.Link(torrent, filepath.Join(watch, "t.torrent"))
		}
		if err != nil {
			t.Fatal(err)
		}
		return clients.Command{Name: "transmission", Path: "transmission-daemon", Logs: home, Args: []string{"-f", "-g", home, "--log-debug"}}
	})
}

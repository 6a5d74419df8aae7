//go:build linux

package lan

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// torrent writes the smallest metainfo there is and gives its info hash.
func torrent(t *testing.T, path string) string {
	t.Helper()
	info := "d6:lengthi16384e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
	if err := os.WriteFile(path, []byte("d8:announce0:4:info"+info+"e"), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum([]byte(info))
	return hex.EncodeToString(sum[:])
}

// meets joins a program and a node on one bridge: the node is to hear the program's
// announce, and the program to hear the node's and connect to it.
func meets(t *testing.T, other *host, port, share string) {
	t.Helper()
	br := bridge(t, "lan0")
	a := newNode(t, 1, "eth0")
	a.plug(br, "eth0", "10.9.0.1/24")
	other.plug(br, "eth0", "10.9.0.2/24")
	other.run("ip", "link", "set", "lo", "up")
	// transmission joins on no interface by name, so the system has to know one.
	other.run("ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
	a.start(share)
	began := time.Now()
	other.say("go")
	want := map[string]bool{"share 10.9.0.2:" + port: true, "conn 10.9.0.2": true}
	for len(want) > 0 {
		l, ok := a.within(time.Until(began.Add(40*time.Second)), func(l line) bool { return want[l.Event+" "+l.Addr] })
		if !ok {
			t.Fatalf("not within %v: %v", time.Since(began), want)
		}
		t.Logf("%s %s after %v", l.Event, l.Addr, time.Since(began).Round(time.Millisecond))
		delete(want, l.Event+" "+l.Addr)
	}
}

// libtorrentNode is a session with one torrent and nothing but BEP 14 to find peers.
const libtorrentNode = `
import sys, libtorrent as lt
ses = lt.session({'listen_interfaces': '10.9.0.2:6881', 'enable_lsd': True, 'enable_dht': False, 'enable_upnp': False,
    'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False, 'in_enc_policy': 2, 'out_enc_policy': 2})
p = lt.add_torrent_params()
p.ti, p.save_path = lt.torrent_info(sys.argv[1]), sys.argv[2]
ses.add_torrent(p)
sys.stdin.read()
`

func TestLibtorrentHearsUsAndWeHearIt(t *testing.T) {
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(p, "-c", "import libtorrent").Run() == nil {
			python = p
			break
		}
	}
	needNamespace(t, python)
	dir := t.TempDir()
	path := filepath.Join(dir, "x.torrent")
	share := torrent(t, path)
	meets(t, newHost(t, []string{"HOME=" + dir}, python, "-c", libtorrentNode, path, dir), "6881", share)
}

func TestTransmissionHearsUsAndWeHearIt(t *testing.T) {
	needNamespace(t, "transmission-daemon")
	home, watch := t.TempDir(), t.TempDir()
	share := torrent(t, filepath.Join(watch, "x.torrent"))
	settings, err := json.Marshal(map[string]any{
		"lpd-enabled": true, "dht-enabled": false, "pex-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false,
		"rpc-enabled": false, "peer-port": 6881, "bind-address-ipv4": "10.9.0.2", "bind-address-ipv6": "::1", "encryption": 0,
		"download-dir": home, "incomplete-dir-enabled": false, "start-added-torrents": true, "watch-dir": watch, "watch-dir-enabled": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "settings.json"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	meets(t, newHost(t, []string{"HOME=" + home}, "transmission-daemon", "-f", "-g", home), "6881", share)
}

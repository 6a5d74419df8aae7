//go:build linux

package clients

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// RTorrent is rtorrent, headless. With DHT off it learns of peers from a tracker, and
// refuses a torrent that names none.
func RTorrent() *Client {
	return &Client{
		Name: "rtorrent", Formats: V1 | Hybrid, DialsLoopback: true, NeedsTracker: true, OnePad: true,
		find:  func() (string, error) { return installed("rtorrent", "-h") },
		start: startRTorrent,
	}
}

func startRTorrent(ctx context.Context, l *Lab, j Job) (*Node, error) {
	home, bells, err := l.home("rtorrent", "done", "hashed")
	if err != nil {
		return nil, err
	}
	done, hashed := bells[0], bells[1]
	n := &Node{Client: "rtorrent", Host: l.host(j)}
	rc := filepath.Join(home, "rc")
	if err := os.WriteFile(rc, []byte(rtorrentConfig(home, n.Host, j, done, hashed)), 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(home, "session"), 0o700); err != nil {
		return nil, err
	}
	n.Process, err = l.Run(Command{Name: "rtorrent", Path: "rtorrent", Args: []string{"-n", "-o", "import=" + rc}, Logs: home})
	if err != nil {
		return nil, err
	}
	n.complete = func(ctx context.Context) error { return done.wait(ctx, n.Process) }
	if j.Seed {
		if err := hashed.wait(ctx, n.Process); err != nil {
			return nil, err
		}
		n.complete = func(context.Context) error { return nil }
	}
	return n, listening(ctx, n.Process, n.Addr())
}

// rtorrentConfig is the configuration file: memory and sockets as generous as the
// other programs' defaults are.
func rtorrentConfig(home, host string, j Job, done, hashed *bell) string {
	return strings.Join([]string{
		`log.open_file="log",` + home + "/rtorrent.log", `log.add_output="info","log"`,
		"system.daemon.set=true", "session.path.set=" + home + "/session", "directory.default.set=" + j.Dir,
		"dht.mode.set=disable", "protocol.pex.set=no", "trackers.use_udp.set=yes", "protocol.encryption.set=none",
		"network.bind_address.set=" + host, "network.local_address.set=" + host,
		fmt.Sprintf("network.port_range.set=%d-%d", PeerPort, PeerPort), "network.port_random.set=no",
		"pieces.memory.max.set=2048M", "network.max_open_files.set=2600",
		"network.send_buffer.size.set=4M", "network.receive_buffer.size.set=4M", "pieces.hash.on_completion.set=no",
		"throttle.max_peers.normal.set=100", "throttle.min_peers.normal.set=40",
		fmt.Sprintf("throttle.global_up.max_rate.set_kb=%d", j.Up>>10), fmt.Sprintf("throttle.global_down.max_rate.set_kb=%d", j.Down>>10),
		fmt.Sprintf(`method.set_key=event.download.finished,done,"execute2=%s"`, done.script),
		fmt.Sprintf(`method.set_key=event.download.hash_done,hashed,"execute2=%s"`, hashed.script),
		"load.start_verbose=" + j.Torrent, "",
	}, "\n")
}

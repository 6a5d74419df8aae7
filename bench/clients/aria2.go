//go:build linux

package clients

import (
	"context"
	"fmt"
)

// Aria2 is aria2c. It knows no way to be given a peer's address: it asks a tracker.
// Version 1.36.0 computes a wrong info hash for hybrid torrents (it hashes its own
// encoding of the info dictionary, not the bytes it was given), so it finds nobody.
func Aria2() *Client {
	return &Client{
		Name: "aria2", Formats: V1, DialsLoopback: true,
		find:  func() (string, error) { return installed("aria2c", "--version") },
		start: startAria2,
	}
}

func startAria2(ctx context.Context, l *Lab, j Job) (*Node, error) {
	home, bells, err := l.home("aria2", "done")
	if err != nil {
		return nil, err
	}
	done := bells[0]
	n := &Node{Client: "aria2", Host: l.host(j)}
	args := []string{"--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
		"--disable-ipv6=true", "--no-netrc", "--check-certificate=true", "--interface=" + n.Host, fmt.Sprintf("--listen-port=%d", PeerPort),
		"--dir=" + j.Dir, "--bt-max-peers=100", "--file-allocation=none", "--summary-interval=0", "--bt-tracker-interval=2",
		"--console-log-level=notice", "--bt-max-open-files=4000", "--seed-ratio=0.0", "--bt-save-metadata=false",
		fmt.Sprintf("--max-overall-upload-limit=%d", j.Up), fmt.Sprintf("--max-overall-download-limit=%d", j.Down),
		"--on-bt-download-complete=" + done.script}
	if j.Seed {
		args = append(args, "--bt-seed-unverified=true")
	}
	n.Process, err = l.Run(Command{Name: "aria2", Path: "aria2c", Args: append(args, j.source()), Logs: home})
	if err != nil {
		return nil, err
	}
	n.complete = func(ctx context.Context) error { return done.wait(ctx, n.Process) }
	return n, listening(ctx, n.Process, n.Addr())
}

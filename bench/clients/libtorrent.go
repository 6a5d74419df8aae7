//go:build linux

package clients

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

//go:embed libtorrent_node.py
var libtorrentNode string

// python finds an interpreter that has the libtorrent module: Debian's own, or the
// first in PATH.
var python = sync.OnceValues(func() ([2]string, error) {
	for _, py := range []string{"/usr/bin/python3", "python3"} {
		out, err := exec.Command(py, "-c", "import libtorrent; print(libtorrent.__version__)").Output()
		if err == nil {
			return [2]string{py, strings.TrimSpace(string(out))}, nil
		}
	}
	return [2]string{}, errNotInstalled
})

// Libtorrent is libtorrent-rasterbar with its default settings, driven through its
// Python module by an embedded script.
func Libtorrent() *Client {
	return &Client{
		Name: "libtorrent", Formats: V1 | V2 | Hybrid, Magnets: true, Dials: true, DialsLoopback: true,
		find: func() (string, error) {
			p, err := python()
			return p[1], err
		},
		start: startLibtorrent,
	}
}

// libtorrentJob is what libtorrent_node.py reads.
type libtorrentJob struct {
	Host    string   `json:"host"`
	Port    int      `json:"port"`
	Torrent string   `json:"torrent,omitempty"`
	Magnet  string   `json:"magnet,omitempty"`
	Dir     string   `json:"dir"`
	Seed    bool     `json:"seed"`
	Peers   [][2]any `json:"peers,omitempty"`
	Up      int64    `json:"up,omitempty"`
	Down    int64    `json:"down,omitempty"`
}

func startLibtorrent(ctx context.Context, l *Lab, j Job) (*Node, error) {
	py, err := python()
	if err != nil {
		return nil, err
	}
	home, err := l.Folder("libtorrent")
	if err != nil {
		return nil, err
	}
	n := &Node{Client: "libtorrent", Host: l.host(j)}
	job := libtorrentJob{Host: n.Host, Port: PeerPort, Torrent: j.Torrent, Magnet: j.Magnet, Dir: j.Dir, Seed: j.Seed, Up: j.Up, Down: j.Down}
	if j.Magnet != "" {
		job.Torrent = ""
	}
	for _, p := range j.Peers {
		host, port, err := splitAddr(p)
		if err != nil {
			return nil, err
		}
		job.Peers = append(job.Peers, [2]any{host, port})
	}
	arg, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	n.Process, err = l.Run(Command{Name: "libtorrent", Path: py[0], Args: []string{"-c", libtorrentNode, string(arg)}, Logs: home})
	if err != nil {
		return nil, err
	}
	n.connect = func(_ context.Context, addr string) error {
		host, port, err := splitAddr(addr)
		if err != nil {
			return err
		}
		return n.Process.Tell(fmt.Sprintf("peer %s %d", host, port))
	}
	n.complete = func(ctx context.Context) error { return waitWord(ctx, n.Process, "DONE") }
	return n, waitWord(ctx, n.Process, "READY")
}

// waitWord waits for a line that begins with word; a line that begins with ERROR
// ends the waiting too.
func waitWord(ctx context.Context, p *Process, word string) error {
	line, err := p.Line(ctx, func(b []byte) bool {
		return bytes.HasPrefix(b, []byte(word)) || bytes.HasPrefix(b, []byte("ERROR"))
	})
	if err == nil && bytes.HasPrefix(line, []byte("ERROR")) {
		return fmt.Errorf("%s", line)
	}
	return err
}

func splitAddr(addr string) (string, int, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.Atoi(port)
	return host, n, err
}

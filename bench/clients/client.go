//go:build linux

package clients

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Format is a metainfo format, as a bit set of what a client can do.
type Format uint8

// The formats of BEP 3 and BEP 52.
const (
	V1 Format = 1 << iota
	V2
	Hybrid
)

func (f Format) String() string {
	switch f {
	case V1:
		return "v1"
	case V2:
		return "v2"
	case Hybrid:
		return "hybrid"
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Job is what one node is asked to do.
type Job struct {
	Dir     string   // folder that holds the content, or gets it
	Torrent string   // path of the .torrent
	Path    string   // the content itself, for a client that makes its own description of it
	Magnet  string   // instead of Torrent, where the client can
	Seed    bool     // Dir has all the content
	Peers   []string // addresses to dial, where the client can
	Up      int64    // upload limit, bytes a second; 0: none
	Down    int64    // download limit, bytes a second; 0: none
	Host    string   // address to have; empty: a new one of 127.0.0.0/8
}

// source is the torrent or the link.
func (j Job) source() string {
	if j.Magnet != "" {
		return j.Magnet
	}
	return j.Torrent
}

// Client is one program and what it can do.
type Client struct {
	Name    string
	Formats Format // it can seed and fetch
	Magnets bool
	// Dials says that it connects to addresses given in a Job. The others learn of
	// peers from a tracker, or must be dialled.
	Dials bool
	// DialsLoopback is false for a client that refuses 127.0.0.0/8 whoever tells it.
	DialsLoopback bool
	// NeedsTracker says that it refuses a torrent without a tracker.
	NeedsTracker bool
	// SkipsEmpty says that it does not make files of no bytes.
	SkipsEmpty bool
	// OnePad says that it refuses two padding files of one size, so that of hybrid
	// torrents it takes hardly more than those of a single file.
	OnePad bool
	// Describes says that it makes its own description of Job.Path: it needs no torrent.
	Describes bool

	find  func() (version string, err error)
	start func(ctx context.Context, l *Lab, j Job) (*Node, error)
	// pair starts two nodes that must be introduced to each other, instead of start.
	pair func(ctx context.Context, l *Lab, p Pair) (seed, leech *Node, err error)
}

// All are the programs that can be at either end of a transfer, ours first.
func All() []*Client {
	return []*Client{Shoal(), Libtorrent(), Aria2(), RTorrent(), Transmission(), QBittorrent()}
}

// Encrypted are the programs that encrypt and know each other by key, ours first. Each talks
// to its own kind alone.
func Encrypted() []*Client { return []*Client{ShoalGroup(), Syncthing()} }

// Own makes a client of a benchmark's own program. Start must return when the node
// is ready; done is the line of its output that says that it has everything.
func Own(name string, done string, start func(l *Lab, host string, j Job) (*Process, error)) *Client {
	return &Client{
		Name: name, Formats: V1 | V2 | Hybrid, Dials: true, DialsLoopback: true, Describes: true,
		find: func() (string, error) { return "", nil },
		start: func(ctx context.Context, l *Lab, j Job) (*Node, error) {
			n := &Node{Client: name, Host: l.host(j)}
			var err error
			if n.Process, err = start(l, n.Host, j); err != nil {
				return nil, err
			}
			n.complete = func(ctx context.Context) error { return waitWord(ctx, n.Process, done) }
			if j.Seed {
				return n, waitWord(ctx, n.Process, "READY")
			}
			return n, nil
		},
	}
}

// Named finds clients by name.
func Named(names ...string) ([]*Client, error) {
	var out []*Client
	for _, n := range names {
		found := false
		for _, c := range append(All(), Encrypted()...) {
			if c.Name == n {
				out, found = append(out, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("clients: no client is called %q", n)
		}
	}
	return out, nil
}

// Find looks whether the program is installed and returns its version.
func (c *Client) Find() (version string, err error) {
	v, err := c.find()
	if err != nil {
		return "", fmt.Errorf("clients: %s: %w", c.Name, err)
	}
	return v, nil
}

// Start starts a node and returns when it is ready: a seed has checked or taken over
// its content and listens, a leech has been told what to fetch.
func (c *Client) Start(ctx context.Context, l *Lab, j Job) (*Node, error) {
	if j.Magnet != "" && !c.Magnets {
		return nil, fmt.Errorf("clients: %s is not given magnet links here", c.Name)
	}
	n, err := c.start(ctx, l, j)
	if err != nil {
		return nil, fmt.Errorf("clients: %s: %w", c.Name, err)
	}
	return n, nil
}

// Node is a running client with one torrent.
type Node struct {
	Client  string
	Host    string
	Process *Process

	complete func(ctx context.Context) error
	connect  func(ctx context.Context, addr string) error
}

// Addr is where peers reach the node.
func (n *Node) Addr() string { return peerAddr(n.Host) }

// Complete waits until the client says that it has everything, verified.
func (n *Node) Complete(ctx context.Context) error { return n.complete(ctx) }

// Connect makes a running node dial a peer, where the client can.
func (n *Node) Connect(ctx context.Context, addr string) error {
	if n.connect == nil {
		return fmt.Errorf("clients: %s cannot be told to dial", n.Client)
	}
	return n.connect(ctx, addr)
}

func peerAddr(host string) string { return net.JoinHostPort(host, strconv.Itoa(PeerPort)) }

// installed looks for a program in PATH and asks for its version.
func installed(path string, args ...string) (string, error) {
	full, err := exec.LookPath(path)
	if err != nil {
		return "", errNotInstalled
	}
	if len(args) == 0 {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// Some print their version and exit with 1.
	out, _ := exec.CommandContext(ctx, full, args...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if v := versionIn(line); v != "" {
			return v, nil
		}
	}
	return "", nil
}

// versionIn finds the first word of a line that looks like a version.
func versionIn(line string) string {
	for _, w := range strings.Fields(line) {
		w = strings.TrimRight(strings.TrimLeft(w, "v("), ".,)")
		if len(w) > 2 && w[0] >= '0' && w[0] <= '9' && strings.Contains(w, ".") {
			return w
		}
	}
	return ""
}

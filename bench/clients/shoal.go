//go:build linux

package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// ShoalPath names the environment variable that holds the shoal binary to use; it is
// set for the rest of the run by [BuildShoal].
const ShoalPath = "SHOAL_LAB_BINARY"

// noShoal names the environment variable that says why there is no binary.
const noShoal = "SHOAL_LAB_NO_BINARY"

// sourcePath names the environment variable that holds the folder the binary was built
// from.
const sourcePath = "SHOAL_LAB_SOURCE"

// lookAtSources opens the folders of the program's sources. The go command keeps the
// result of a test until the test's own code changes or what it looked at within the
// module; of a binary that was built on the way it knows nothing, and would call a
// changed shoal tested.
var lookAtSources = sync.OnceValue(func() error {
	root := os.Getenv(sourcePath)
	if root == "" {
		return nil // the binary comes from elsewhere
	}
	for _, room := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, room), func(_ string, _ os.DirEntry, err error) error { return err })
		if err != nil {
			return fmt.Errorf("clients: %w", err)
		}
	}
	return nil
})

// shoalPath is the binary, or why there is none.
func shoalPath() (string, error) {
	if path := os.Getenv(ShoalPath); path != "" {
		return path, nil
	}
	if why := os.Getenv(noShoal); why != "" {
		return "", errors.New(why)
	}
	return "", errors.New("not built")
}

// BuildShoal builds the shoal binary of this module into dir. Call it before
// [Isolate]: a build may have to fetch modules.
func BuildShoal(dir string) error {
	if os.Getenv(ShoalPath) != "" || os.Getenv(isolated) != "" {
		return nil
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("clients: go list: %w", err)
	}
	path := filepath.Join(dir, "shoal")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/shoal")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		err = fmt.Errorf("go build ./cmd/shoal: %w: %s", err, out)
		return errors.Join(err, os.Setenv(noShoal, err.Error()))
	}
	return errors.Join(os.Setenv(sourcePath, build.Dir), os.Setenv(ShoalPath, path))
}

// Shoal is the shoal binary, driven by its command line.
func Shoal() *Client {
	return &Client{
		Name: "shoal", Formats: V1 | V2 | Hybrid, Magnets: true, Dials: true, DialsLoopback: true,
		find: func() (string, error) {
			path, err := shoalPath()
			if err != nil {
				return "", err
			}
			return installed(path, "version")
		},
		start: startShoal,
	}
}

// ShoalNode is how one shoal process is run: its home and its global flags.
type ShoalNode struct {
	Host  string
	Home  string
	Scope string   // loopback unless changed
	Enter []string // what its commands are run by, such as nsenter with its arguments; it must become the program
	dir   string
	lab   *Lab
}

// NewShoalNode makes a home for a node that has not started.
func NewShoalNode(l *Lab) (*ShoalNode, error) {
	dir, err := l.Folder("shoal")
	if err != nil {
		return nil, err
	}
	return &ShoalNode{Host: l.Host(), Home: filepath.Join(dir, "home"), Scope: "loopback", dir: dir, lab: l}, nil
}

// Global are the flags that every command of this node gets.
func (s *ShoalNode) Global() []string {
	return []string{"--json", "--home", s.Home, "--scope", s.Scope, "--bind", s.Host, "--port", strconv.Itoa(PeerPort), "--api-port", "0"}
}

// Run starts a command of this node in the background.
func (s *ShoalNode) Run(args ...string) (*Process, error) {
	path, err := shoalPath()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("shoal-%s-%s", args[0], s.Host)
	line := append(append(append([]string(nil), s.Enter...), path), append(args, s.Global()...)...)
	return s.lab.Run(Command{Name: name, Path: line[0], Args: line[1:], Logs: s.dir})
}

// Do runs a command of this node to its end and returns its output and exit code.
func (s *ShoalNode) Do(ctx context.Context, args ...string) (out []byte, code int, err error) {
	p, err := s.Run(args...)
	if err != nil {
		return nil, -1, err
	}
	code, err = p.Wait(ctx)
	if err != nil {
		p.Kill()
		return p.Output(), code, err
	}
	return p.Output(), code, nil
}

// must is Do for a command that is to succeed.
func (s *ShoalNode) must(ctx context.Context, args ...string) error {
	out, code, err := s.Do(ctx, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("clients: shoal %s: exit %d: %s", args[0], code, out)
	}
	return err
}

// Event waits for the line of a command's JSON output that has this event, and
// decodes it into v when v is not nil.
func Event(ctx context.Context, p *Process, event string, v any) error {
	line, err := p.Line(ctx, func(b []byte) bool {
		var e struct{ Event string }
		return json.Unmarshal(b, &e) == nil && e.Event == event
	})
	if err != nil || v == nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// Shared is the line that "share --json" prints for each path.
type Shared struct {
	Link    string  `json:"link"`
	V1      string  `json:"info_hash_v1"`
	V2      string  `json:"info_hash_v2"`
	Name    string  `json:"name"`
	Bytes   int64   `json:"bytes"`
	Files   int     `json:"files"`
	Pieces  int     `json:"pieces"`
	Seconds float64 `json:"seconds"`
}

// Hash is the hash by which commands name the share.
func (s Shared) Hash() string {
	if s.V2 != "" {
		return s.V2
	}
	return s.V1
}

// Done is the last line of "get --json".
type Done struct {
	InfoHash string  `json:"info_hash"`
	Path     string  `json:"path"`
	Bytes    int64   `json:"bytes"`
	Wasted   int64   `json:"wasted"`
	Seconds  float64 `json:"seconds"`
}

// startShoal fetches, or takes over content that is there and goes on seeding it.
// A leech goes on seeding too, as the other programs do.
func startShoal(ctx context.Context, l *Lab, j Job) (*Node, error) {
	s, err := NewShoalNode(l)
	if err != nil {
		return nil, err
	}
	if j.Host != "" {
		s.Host = j.Host
	}
	args := append([]string{"get", j.source(), "-o", j.Dir, "--seed"}, peerFlags(j)...)
	n := &Node{Client: "shoal", Host: s.Host}
	if n.Process, err = s.Run(args...); err != nil {
		return nil, err
	}
	n.complete = func(ctx context.Context) error { return Event(ctx, n.Process, "done", nil) }
	if j.Seed {
		if err := n.complete(ctx); err != nil {
			return nil, err
		}
		return n, listening(ctx, n.Process, n.Addr())
	}
	return n, nil
}

func peerFlags(j Job) []string {
	var args []string
	for _, p := range j.Peers {
		args = append(args, "--peer", p)
	}
	if j.Up > 0 {
		args = append(args, "--up-limit", strconv.FormatInt(j.Up, 10))
	}
	if j.Down > 0 {
		args = append(args, "--down-limit", strconv.FormatInt(j.Down, 10))
	}
	return args
}

// ShareWithShoal publishes a path in place and writes the torrent to out, for other
// clients. The node seeds until the lab stops.
func ShareWithShoal(ctx context.Context, l *Lab, path, out string, extra ...string) (*Node, Shared, error) {
	var shared Shared
	s, err := NewShoalNode(l)
	if err != nil {
		return nil, shared, err
	}
	n := &Node{Client: "shoal", Host: s.Host, complete: func(context.Context) error { return nil }}
	n.connect = func(ctx context.Context, addr string) error {
		return s.must(ctx, append([]string{"share", path, "--peer", addr}, extra...)...)
	}
	if n.Process, err = s.Run(append([]string{"share", path}, extra...)...); err != nil {
		return nil, shared, err
	}
	line, err := n.Process.Line(ctx, func(b []byte) bool { return json.Unmarshal(b, &shared) == nil && shared.Link != "" })
	if err != nil {
		return nil, shared, err
	}
	if err := json.Unmarshal(line, &shared); err != nil {
		return nil, shared, fmt.Errorf("clients: share: %w", err)
	}
	if err := listening(ctx, n.Process, n.Addr()); err != nil {
		return nil, shared, err
	}
	if out == "" {
		return n, shared, nil
	}
	return n, shared, s.must(ctx, "torrent", shared.Hash(), "-o", out)
}

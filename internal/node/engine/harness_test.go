package engine

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

// longest is how long a test waits for something that must happen.
const longest = 30 * time.Second

// TestMain also proves that closed engines leave no goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaked(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines are left behind:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leaked are the goroutines that still run code of this program after a while.
func leaked() string {
	end := time.Now().Add(3 * time.Second)
	for {
		var left []string
		buf := make([]byte, 1<<20)
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "shoal/internal/") && !strings.Contains(g, "TestMain") {
				left = append(left, g)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return strings.Join(left, "\n\n")
		}
		runtime.Gosched()
	}
}

// node is an engine of its own home, listening on loopback.
type node struct {
	*Engine
	t    *testing.T
	home string

	mu      sync.Mutex
	events  []Event
	arrived chan struct{} // closed and replaced at each event
	stopped bool
}

// startNode starts an engine on any port of 127.0.0.1; options change its configuration.
// It ends with the test.
func startNode(t *testing.T, options ...func(*Config)) *node {
	t.Helper()
	return startNodeAt(t, t.TempDir(), options...)
}

// startNodeAt is startNode with a home that may have been used before.
func startNodeAt(t *testing.T, home string, options ...func(*Config)) *node {
	t.Helper()
	n := &node{t: t, home: home, arrived: make(chan struct{})}
	catalog, err := store.OpenCatalog(filepath.Join(home, "shoal.db"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Home: home, Catalog: catalog, Listeners: []net.Listener{l}, Events: n.told,
		Reserve: func(int64) int64 { return 0 }, Version: "shoal test"}
	for _, o := range options {
		o(&cfg)
	}
	if n.Engine, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.stop()
		if err := catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	return n
}

// stop closes the engine; it may be called before the test ends.
func (n *node) stop() {
	n.t.Helper()
	if n.stopped {
		return
	}
	n.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		n.t.Error(err)
	}
}

func (n *node) told(e Event) {
	n.mu.Lock()
	n.events = append(n.events, e)
	close(n.arrived)
	n.arrived = make(chan struct{})
	n.mu.Unlock()
}

// wait returns the first event that fits, past or to come.
func (n *node) wait(what string, fits func(Event) bool) Event {
	n.t.Helper()
	late := time.NewTimer(longest)
	defer late.Stop()
	for seen := 0; ; {
		n.mu.Lock()
		list, arrived := n.events, n.arrived
		n.mu.Unlock()
		for ; seen < len(list); seen++ {
			if fits(list[seen]) {
				return list[seen]
			}
		}
		select {
		case <-arrived:
		case <-late.C:
			n.t.Fatalf("%s did not happen; events: %s; %s", what, n.story(), n.states())
		}
	}
}

// waitDone waits until a share is complete.
func (n *node) waitDone(hash metainfo.InfoHash) Status {
	n.t.Helper()
	id := hash.ID()
	e := n.wait("done", func(e Event) bool { return e.Kind == EventDone && e.ID == id })
	return *e.Status
}

// soFar are the events until now.
func (n *node) soFar() []Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.events)
}

func (n *node) story() string {
	var b strings.Builder
	for _, e := range n.soFar() {
		fmt.Fprintf(&b, "%d", e.Kind)
		if e.Status != nil {
			fmt.Fprintf(&b, "(state %d %s)", e.Status.State, e.Status.Problem)
		}
		fmt.Fprintf(&b, "%s%s%s ", e.Reason, e.Code, e.Text)
	}
	return b.String()
}

func (n *node) states() string {
	var b strings.Builder
	for _, s := range n.List() {
		fmt.Fprintf(&b, "%s: state %d, %d of %d pieces, %d peers, %s; ", s.Name, s.State, s.Have, s.Pieces, s.Peers, s.Problem)
	}
	return b.String()
}

// addr is where the node listens.
func (n *node) addr() string { return n.Listening()[0].String() }

// share creates metainfo for a path and offers it from where it lies.
func (n *node) share(path string, o store.CreateOptions) *metainfo.Metainfo {
	n.t.Helper()
	m, report, err := store.Create(context.Background(), path, o)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.Add(Spec{Meta: m, Dir: filepath.Dir(path), InPlace: true, Resume: report.Resume}); err != nil {
		n.t.Fatal(err)
	}
	return m
}

// magnet is the link to a share with nothing but what names it.
func magnet(h metainfo.InfoHash) metainfo.Magnet { return metainfo.Magnet{Hash: h} }

// fetch adds a share that lies at other nodes and returns the folder it is written to.
func (n *node) fetch(spec Spec, from ...*node) string {
	n.t.Helper()
	if spec.Dir == "" {
		spec.Dir = n.t.TempDir()
	}
	for _, f := range from {
		spec.Peers = append(spec.Peers, f.addr())
	}
	if _, err := n.Add(spec); err != nil {
		n.t.Fatal(err)
	}
	return spec.Dir
}

// writeFile makes a file of pseudo-random bytes, the same for the same name and size.
func writeFile(t *testing.T, path string, size int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%s %d", filepath.Base(path), size))
	b := make([]byte, size)
	if _, err := rand.NewChaCha8(seed).Read(b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// sameTree compares a file or folder with its copy, byte by byte, names included.
func sameTree(t *testing.T, want, got string) {
	t.Helper()
	names := func(root string) map[string]bool {
		m := make(map[string]bool)
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(root, p)
				m[rel] = true
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return m
	}
	w, g := names(want), names(got)
	for name := range w {
		if !g[name] {
			t.Errorf("%s is missing", name)
			continue
		}
		a, err := os.ReadFile(filepath.Join(want, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(got, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs: %d and %d bytes", name, len(a), len(b))
		}
	}
	for name := range g {
		if !w[name] {
			t.Errorf("%s is too much", name)
		}
	}
}

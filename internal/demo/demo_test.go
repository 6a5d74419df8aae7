package demo

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// write makes a folder of small files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestSame: whatever differs is found.
func TestSame(t *testing.T) {
	big := strings.Repeat("x", 600<<10)
	a := write(t, map[string]string{"one": "1", "in/two": big, "empty": "", "a\\b": "odd"})
	names := map[string]string{`a%5Cb`: "a\\b"}
	for _, tc := range []struct {
		name string
		b    map[string]string
		want bool
	}{
		{"all is there", map[string]string{"one": "1", "in/two": big, "empty": "", `a%5Cb`: "odd"}, true},
		{"a byte", map[string]string{"one": "1", "in/two": big[1:] + "y", "empty": "", `a%5Cb`: "odd"}, false},
		{"the last byte is missing", map[string]string{"one": "1", "in/two": big[1:], "empty": "", `a%5Cb`: "odd"}, false},
		{"one byte more", map[string]string{"one": "1", "in/two": big + "x", "empty": "", `a%5Cb`: "odd"}, false},
		{"a file is missing", map[string]string{"one": "1", "in/two": big, `a%5Cb`: "odd"}, false},
		{"one too many", map[string]string{"one": "1", "in/two": big, "empty": "", `a%5Cb`: "odd", "in/three": ""}, false},
		{"elsewhere", map[string]string{"one": "1", "two": big, "empty": "", `a%5Cb`: "odd"}, false},
	} {
		got, err := Same(t.Context(), a, write(t, tc.b), names)
		if err != nil || got != tc.want {
			t.Errorf("%s: %v %v", tc.name, got, err)
		}
	}
}

// TestSource is the person's path, or Go's own sources, or a folder that is made.
func TestSource(t *testing.T) {
	goroot := write(t, map[string]string{"src/cmd/go/main.go": "package main"})
	file := filepath.Join(write(t, map[string]string{"song": "la"}), "song")
	for _, tc := range []struct {
		name, path, goroot, want string
	}{
		{"a path", file, goroot, file},
		{"Go is here", "", goroot, filepath.Join(goroot, "src", "cmd")},
		{"Go is elsewhere", "", t.TempDir(), "music"},
		{"nowhere", filepath.Join(goroot, "nowhere"), goroot, ""},
	} {
		t.Setenv("GOROOT", tc.goroot)
		d := &demo{Options: Options{Path: tc.path}, dir: t.TempDir()}
		got, err := d.source(t.Context())
		if tc.want == "" && err == nil || tc.want != "" && (err != nil || !strings.HasSuffix(got.path, tc.want)) {
			t.Errorf("%s: %+v %v, want %s", tc.name, got, err, tc.want)
		}
		if _, err := os.Stat(got.path); tc.want != "" && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestMeter is the rate of the last second, however long it went on before.
func TestMeter(t *testing.T) {
	var m meter
	now, n := time.Unix(1, 0), int64(0)
	if m.rate() != 0 {
		t.Errorf("before the first look: %d", m.rate())
	}
	for i, want := range []api.Rate{0, 4000, 4000, 4000, 4000, 4000, 3000, 2000, 1000, 0, 0} {
		m.look(now, n)
		if got := m.rate(); got != want {
			t.Errorf("look %d: %d, want %d", i, got, want)
		}
		now = now.Add(lookEvery)
		if i < 5 {
			n += 1000
		}
	}
}

// crowd is a demo with so many nodes, of which none runs.
func crowd(t *testing.T, n int) *demo {
	t.Helper()
	d := &demo{Options: Options{Screen: term.New(new(bytes.Buffer), func(string) string { return "" })}}
	for i := range n {
		key := ident.NewKey([ident.SeedSize]byte{byte(i)})
		d.nodes = append(d.nodes, &node{name: fmt.Sprintf("node%d", i+1), ready: api.Ready{NodeID: key.ID().String(), PID: 100 + i}})
	}
	return d
}

// TestTable shows who sends what to whom: by columns, or with many nodes the seeds' and one
// for all others.
func TestTable(t *testing.T) {
	for _, tc := range []struct {
		nodes int
		head  string
		row   string
		sent  string
	}{
		{5, "HAS B/s FROM node1 node2 node3 node4 node5", "node3 [######------] 50 % 600 400 - - 200 -", "sent so far 300 0 0 150 0"},
		{9, "HAS B/s FROM node1 node2 others", "node3 [######------] 50 % 600 400 - 200", "sent so far 300 0 150"},
	} {
		d := crowd(t, tc.nodes)
		r := d.newRound(shared{Created: api.Created{Bytes: 900}}, d.nodes[2:], true)
		f := r.by[0]
		at := time.Now()
		for i := range 2 {
			now := at.Add(time.Duration(i) * lookEvery)
			f.bytes = int64(300 + 150*i)
			f.meter.look(now, f.bytes)
			for name, n := range map[string]int64{"node1": 100, "node4": 50} {
				if f.from[name] == nil {
					f.from[name] = new(flow)
				}
				f.from[name].bytes = 2*n + n*int64(i)
				f.from[name].meter.look(now, f.from[name].bytes)
			}
		}
		lines := r.table()
		for i, want := range map[int]string{0: tc.head, 1: tc.row, len(lines) - 1: tc.sent} {
			if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
				t.Errorf("%d nodes: %s\nwant %s", tc.nodes, got, want)
			}
		}
		r.killed = at
		lines = r.table()
		if w := term.Width(lines[0]); w > 79 {
			t.Errorf("%d columns", w)
		}
		if !strings.Contains(lines[0], "FROM (killed)") || strings.Contains(lines[1], " 400") || !strings.Contains(lines[len(lines)-1], " 300") {
			t.Errorf("the first node is killed:\n%s", strings.Join(lines, "\n"))
		}
	}
}

// TestPauses: the longest time without a byte, before the kill and from then on.
func TestPauses(t *testing.T) {
	d := crowd(t, 5)
	r := d.newRound(shared{Created: api.Created{Bytes: 1000}}, d.nodes[2:], true)
	f := r.by[0]
	begin := time.Now().Add(-time.Hour)
	r.noteAt(f, 100, begin) // the wait for the first byte is none
	r.noteAt(f, 100, begin.Add(5*time.Second))
	r.noteAt(f, 200, begin.Add(7*time.Second))
	r.killed = begin.Add(8 * time.Second)
	r.noteAt(f, 300, begin.Add(10*time.Second))
	r.noteAt(f, 400, begin.Add(11*time.Second))
	if k := r.loss(d.nodes[0]); k.PauseBefore != 7 || k.Pause != 3 || k.Node != "node1" || k.PID != 100 {
		t.Errorf("%+v", k)
	}
}

// TestHalf is when they have half of it together, or one has everything.
func TestHalf(t *testing.T) {
	for _, tc := range []struct {
		has  []int64
		half bool
	}{
		{[]int64{400, 500, 599}, false}, {[]int64{400, 500, 600}, true}, {[]int64{1000, 0, 0}, true}, {[]int64{999, 0, 0}, false},
	} {
		d := crowd(t, 5)
		r := d.newRound(shared{Created: api.Created{Bytes: 1000}}, d.nodes[2:], true)
		for i, n := range tc.has {
			r.note(r.by[i], n)
		}
		if r.over != tc.half {
			t.Errorf("%v: %v", tc.has, r.over)
		}
	}
}

// TestSenders: a node is known by its NodeID, and by its address in the overlay.
func TestSenders(t *testing.T) {
	d := crowd(t, 3)
	for _, n := range d.nodes {
		id, err := ident.ParseNodeID(n.ready.NodeID)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := d.nameOf(n.ready.NodeID), d.nameAt(id.Addr().String()); a != n.name || b != n.name {
			t.Errorf("%s is %s and %s", n.name, a, b)
		}
	}
	for _, at := range []string{"", "127.0.0.1:7463", "[fd73:686f:616c::1]:7463"} {
		if got := d.nameAt(at); got != othersName {
			t.Errorf("%q is %s", at, got)
		}
	}
}

// TestConnectionsAgain: what a connection that is gone has carried counts on.
func TestConnectionsAgain(t *testing.T) {
	d := crowd(t, 3)
	r := d.newRound(shared{Created: api.Created{Bytes: 1000}}, d.nodes[2:], true)
	f := r.by[0]
	for _, n := range []int64{100, 250, 30, 60} {
		r.see(f, []api.SharePeer{{Peer: api.Peer{NodeID: d.nodes[0].ready.NodeID, Downloaded: n}}})
	}
	if got := f.from["node1"].bytes; got != 310 {
		t.Errorf("%d bytes", got)
	}
}

// TestFailure is what a node said when it ended, in its own words.
func TestFailure(t *testing.T) {
	log := filepath.Join(write(t, map[string]string{"log": "first\nlast words\n", "none": ""}), "log")
	for _, tc := range []struct {
		log, line, want string
		kind            api.Kind
	}{
		{log, `{"event":"error","code":"port_taken","reason":"the port is taken","subject":"--port","exit":1}`, "node1: --port: the port is taken", api.PortTaken},
		{log, "", "node1: the node ended: last words", api.Unavailable},
		{filepath.Join(filepath.Dir(log), "none"), "", "node1: the node ended: without a word", api.Unavailable},
	} {
		n := &node{name: "node1", log: tc.log}
		if err := n.failed(n.failure([]byte(tc.line))); err.Error() != tc.want || api.KindOf(err) != tc.kind {
			t.Errorf("%v (%s), want %s", err, api.KindOf(err), tc.want)
		}
	}
}

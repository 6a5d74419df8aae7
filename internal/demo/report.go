package demo

import (
	"cmp"
	"fmt"
	"slices"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// Started is one node of a demo.
type Started struct {
	Name   string   `json:"name"`
	NodeID string   `json:"node_id"`
	PID    int      `json:"pid"`
	Home   string   `json:"home"`
	API    string   `json:"api" doc:"URL of its API"`
	Listen []string `json:"listen"`
}

// NodesEvent tells that all nodes answer.
type NodesEvent struct {
	Event   string    `json:"event"`
	Nodes   []Started `json:"nodes" doc:"the first one shares"`
	Seconds float64   `json:"seconds"`
}

// Group is the group of a demo.
type Group struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Members int    `json:"members"`
}

// Code is what both sides of one invitation saw.
type Code struct {
	Node    string `json:"node" doc:"who joined"`
	Joined  string `json:"joined" doc:"twelve digits that it saw"`
	Inviter string `json:"inviter" doc:"those that the inviter saw"`
	Equal   bool   `json:"equal"`
}

// JoinedEvent tells that all others have joined the first node's group.
type JoinedEvent struct {
	Event       string  `json:"event"`
	Group       Group   `json:"group"`
	Codes       []Code  `json:"codes"`
	Connections int     `json:"connections" doc:"between members, each encrypted"`
	Seconds     float64 `json:"seconds" doc:"until every member was connected to every other"`
}

// SharedEvent tells what the first node shares.
type SharedEvent struct {
	Event    string  `json:"event"`
	Node     string  `json:"node"`
	Link     string  `json:"link"`
	InfoHash string  `json:"info_hash"`
	Path     string  `json:"path"`
	Bytes    int64   `json:"bytes"`
	Files    int     `json:"files"`
	Pieces   int     `json:"pieces"`
	Seconds  float64 `json:"seconds" doc:"it took to hash"`
}

// From is what a node has got from another one.
type From struct {
	Node  string   `json:"node"`
	Bytes int64    `json:"bytes"`
	Rate  api.Rate `json:"rate" doc:"bytes a second at this moment"`
}

// Fetching is how far a node is.
type Fetching struct {
	Name  string   `json:"name"`
	Bytes int64    `json:"bytes"`
	Total int64    `json:"total"`
	Rate  api.Rate `json:"rate"`
	From  []From   `json:"from"`
}

// Progress tells who sends what to whom, at most twice a second.
type Progress struct {
	Event   string     `json:"event"`
	Seconds float64    `json:"seconds" doc:"since these nodes began to fetch"`
	Bytes   int64      `json:"bytes" doc:"that they have, together"`
	Total   int64      `json:"total"`
	Nodes   []Fetching `json:"nodes"`
}

// FetchedEvent tells that a node has everything.
type FetchedEvent struct {
	Event   string   `json:"event"`
	Node    string   `json:"node"`
	Bytes   int64    `json:"bytes"`
	Seconds float64  `json:"seconds"`
	Rate    api.Rate `json:"rate"`
	Wasted  int64    `json:"wasted"`
}

// KilledEvent tells that the first node was killed.
type KilledEvent struct {
	Event   string  `json:"event"`
	Node    string  `json:"node"`
	PID     int     `json:"pid"`
	Seconds float64 `json:"seconds" doc:"since the others began to fetch"`
	Bytes   int64   `json:"bytes" doc:"that they had then, together"`
	Total   int64   `json:"total"`
}

// Peer is one node that fetched.
type Peer struct {
	Name    string   `json:"name"`
	Bytes   int64    `json:"bytes"`
	Total   int64    `json:"total"`
	Rate    api.Rate `json:"rate" doc:"bytes a second, from the request to the last byte"`
	Seconds float64  `json:"seconds" doc:"until it had everything"`
	Wasted  int64    `json:"wasted"`
	Sources int      `json:"sources" doc:"nodes it got data from"`
	Equal   bool     `json:"equal" doc:"every byte was compared and is equal"`
	From    []From   `json:"from" doc:"who gave how much"`
}

// Limit is what a node was told to send at most.
type Limit struct {
	Node string   `json:"node"`
	Up   api.Rate `json:"up"`
}

// Killed is what was lost with the node that was killed.
type Killed struct {
	Node        string  `json:"node"`
	PID         int     `json:"pid"`
	Seconds     float64 `json:"seconds" doc:"when it was, since the others began to fetch"`
	Bytes       int64   `json:"bytes" doc:"that they had then, together"`
	Total       int64   `json:"total"`
	PauseBefore float64 `json:"pause_before" doc:"longest time without a byte for one of them before, in seconds"`
	Pause       float64 `json:"pause" doc:"the same from then on"`
}

// Report is what a demo measured: its last line.
type Report struct {
	Event    string  `json:"event"`
	Link     string  `json:"link"`
	InfoHash string  `json:"info_hash"`
	Path     string  `json:"path"`
	Bytes    int64   `json:"bytes"`
	Files    int     `json:"files"`
	Pieces   int     `json:"pieces"`
	Hashing  float64 `json:"hashing" doc:"seconds"`
	Seconds  float64 `json:"seconds" doc:"from the first request until the last peer had everything"`
	Swarm    float64 `json:"swarm_seconds" doc:"of them, those in which all but the second node fetched"`
	Seed     int64   `json:"seed_uploaded" doc:"bytes that the sharing node sent; the rest went between the peers"`
	Wasted   int64   `json:"wasted"`
	Group    Group   `json:"group"`
	Peers    []Peer  `json:"peers"`
	Limits   []Limit `json:"limits" doc:"of the two seeds, while the others fetched"`
	Killed   *Killed `json:"killed,omitempty" doc:"absent with one peer: nobody was left to go on with"`
	Equal    bool    `json:"equal"`
	Kept     string  `json:"kept,omitempty" doc:"the folder with all homes, with --keep"`
}

// note takes over what the nodes of one round did.
func (r *Report) note(x *round) {
	for _, f := range x.by {
		p := Peer{Name: f.n.name, Bytes: f.bytes, Total: x.s.Bytes, Seconds: f.done.Seconds, Wasted: f.done.Wasted,
			Rate: api.Rate(float64(f.bytes) / max(f.done.Seconds, 1e-3)), From: []From{}}
		for i, n := range x.d.nodes {
			from := f.from[n.name]
			if from == nil || from.bytes == 0 {
				continue
			}
			if i == 0 {
				r.Seed += from.bytes
			}
			p.Sources++
			p.From = append(p.From, From{Node: n.name, Bytes: from.bytes})
		}
		r.Wasted += p.Wasted
		r.Peers = append(r.Peers, p)
	}
	slices.SortStableFunc(r.Peers, func(a, b Peer) int { return cmp.Compare(x.d.index(a.Name), x.d.index(b.Name)) })
}

// index is where a node stands.
func (d *demo) index(name string) int {
	return slices.IndexFunc(d.nodes, func(n *node) bool { return n.name == name })
}

// tell prints the figures.
func (d *demo) tell() {
	r := &d.report
	r.Event = "demo"
	if d.Keep {
		r.Kept = d.dir
	}
	if d.Print != nil {
		d.Print(r)
		return
	}
	d.Screen.Clear()
	line := func(format string, args ...any) { fmt.Fprintf(d.Stdout, format+"\n", args...) }
	d.figures().Write(d.Stdout)
	swarm := d.nodes[2:]
	switch k := r.Killed; {
	case k == nil: // there was no swarm
	case k.Bytes < k.Total:
		line("%s had %s after %.2f s; %s alone would have needed %.0f s for them", names(swarm), copies(len(swarm)), r.Swarm,
			r.Limits[1].Node, float64(r.Bytes)*float64(len(swarm))/float64(r.Limits[1].Up))
		line("%s was killed when they had %.0f %% of all: the longest pause of one of them was %.2f s then, %.2f s before", k.Node, share(k.Bytes, k.Total)*100, k.Pause, k.PauseBefore)
	default:
		line("%s had %s after %.2f s, before %s was killed: share something larger to see how they go on", names(swarm), copies(len(swarm)), r.Swarm, k.Node)
	}
	if r.Equal {
		line("every byte of %s compared with the original: equal", copies(len(r.Peers)))
	}
}

// figures are the table of who got what from whom.
func (d *demo) figures() *term.Table {
	own, others := d.senders()
	t := &term.Table{Head: []string{"NODE", "FETCHED", "SECONDS", "RATE"}, Right: map[int]bool{1: true, 2: true, 3: true}}
	t.Head = append(t.Head, own...)
	if others {
		t.Head = append(t.Head, othersName)
	}
	t.Head[4] = "FROM " + t.Head[4]
	columns := len(t.Head) - 4
	for i := range columns + 1 {
		t.Right[4+i] = true
	}
	t.Head = append(t.Head, "WASTED", "COMPARED")
	sum := make([]int64, len(own)+1)
	for _, p := range d.report.Peers {
		verdict := "equal"
		if !p.Equal {
			verdict = "DIFFERENT"
		}
		bytes := make([]int64, len(own)+1)
		for _, from := range p.From {
			bytes[column(own, from.Node)] += from.Bytes
			sum[column(own, from.Node)] += from.Bytes
		}
		row := []string{p.Name, api.FormatSize(p.Bytes), fmt.Sprintf("%.2f", p.Seconds), p.Rate.String()}
		row = append(append(row, sizes(bytes[:columns])...), api.FormatSize(p.Wasted), verdict)
		t.Add(row...)
	}
	row := append([]string{"sent", "", "", ""}, sizes(sum[:columns])...)
	t.Add(append(row, api.FormatSize(d.report.Wasted), "")...)
	return t
}

func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}

// sizes are the cells of amounts.
func sizes(list []int64) (cells []string) {
	for _, n := range list {
		if n == 0 {
			cells = append(cells, "-")
		} else {
			cells = append(cells, api.FormatSize(n))
		}
	}
	return cells
}

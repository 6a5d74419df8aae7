package demo

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

const (
	lookEvery = 250 * time.Millisecond // how often nodes are asked who sends to them
	gauge     = 12                     // columns
	// mostColumns is how many senders have a column of their own.
	mostColumns = 6
	othersName  = "others"
)

// flow is what one node has got from another one.
type flow struct {
	bytes int64 // in all
	last  int64 // of the connection that is or was
	meter meter
}

// meter is the rate of a count over the last second: that of a node's own figures is over a
// longer time, and would show a kill too late.
type meter struct {
	at   [1 + int(time.Second/lookEvery)]time.Time
	n    [1 + int(time.Second/lookEvery)]int64
	next int
}

// look notes the count at this moment.
func (m *meter) look(now time.Time, n int64) {
	m.at[m.next], m.n[m.next] = now, n
	m.next = (m.next + 1) % len(m.at)
}

// rate is bytes a second between the oldest look and the newest.
func (m *meter) rate() api.Rate {
	last, first := (m.next+len(m.at)-1)%len(m.at), m.next
	for m.at[first].IsZero() && first != last {
		first = (first + 1) % len(m.at)
	}
	d := m.at[last].Sub(m.at[first])
	if d <= 0 {
		return 0
	}
	return api.Rate(float64(m.n[last]-m.n[first]) / d.Seconds())
}

// follow shows who sends what to whom, until ctx ends, and gives up when nothing has come
// for long.
func (r *round) follow(ctx context.Context, fail context.CancelCauseFunc) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for n := 1; ; n++ {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		for _, f := range r.by {
			if p, err := f.n.client.Peers(ctx); err == nil {
				r.see(f, p.Peers)
			}
		}
		r.mu.Lock()
		stalled := time.Since(r.grew) > stallAfter
		lines, p := r.table(), r.progress()
		text := r.tellQuarter()
		r.mu.Unlock()
		switch {
		case stalled:
			fail(api.Errorf(api.Unreachable, r.s.Name, "nothing arrived for %d s", int(stallAfter.Seconds())))
			return
		case r.d.Screen.Terminal:
			r.d.Screen.Show(time.Now(), lines)
		case text != "" && r.d.Print == nil:
			r.d.say("%s", text)
		}
		if n%2 == 0 { // at most two a second
			r.d.print(p)
		}
	}
}

// see notes what a node's connections have carried.
func (r *round) see(f *fetcher, peers []api.SharePeer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.done != nil {
		return // who gave what is known exactly
	}
	now := time.Now()
	f.meter.look(now, f.bytes)
	for _, p := range peers {
		name := r.d.nameOf(p.NodeID)
		if f.from[name] == nil {
			f.from[name] = new(flow)
		}
		from := f.from[name]
		if p.Downloaded < from.last { // a new connection
			from.last = 0
		}
		from.bytes += p.Downloaded - from.last
		from.last = p.Downloaded
	}
	for _, from := range f.from {
		from.meter.look(now, from.bytes)
	}
}

// nameOf is what this demo calls a node.
func (d *demo) nameOf(id string) string {
	for _, n := range d.nodes {
		if n.ready.NodeID == id {
			return n.name
		}
	}
	return othersName
}

// nameAt is the name of the node with an address of the overlay.
func (d *demo) nameAt(addr string) string {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return othersName
	}
	for _, n := range d.nodes {
		if id, err := ident.ParseNodeID(n.ready.NodeID); err == nil && id.Addr() == at {
			return n.name
		}
	}
	return othersName
}

// senders are those that have a column: all, or in a large demo the two seeds.
func (d *demo) senders() (own []string, others bool) {
	for _, n := range d.nodes {
		own = append(own, n.name)
	}
	if len(own) > mostColumns {
		return own[:2], true
	}
	return own, false
}

// column is the one a node's name stands in.
func column(own []string, name string) int {
	if i := slices.Index(own, name); i >= 0 {
		return i
	}
	return len(own)
}

// table is the picture of this moment: a row for each that fetches, a column for each that
// sends, and in the last row how much each has sent.
func (r *round) table() []string {
	own, others := r.d.senders()
	head := []string{"", "HAS", "", "B/s"}
	t := &term.Table{Right: map[int]bool{2: true, 3: true}}
	for i, name := range own {
		if i == 0 && !r.killed.IsZero() {
			name = "(killed)"
		}
		head = append(head, name)
	}
	if others {
		head = append(head, othersName)
	}
	head[4] = "FROM " + head[4]
	t.Head = head
	columns := len(head) - 4
	sent := make([]int64, len(own)+1)
	for i := range columns {
		t.Right[4+i] = true
	}
	for _, f := range r.by {
		rates := make([]api.Rate, len(own)+1)
		for name, from := range f.from {
			rates[column(own, name)] += from.meter.rate()
			sent[column(own, name)] += from.bytes
		}
		part := share(f.bytes, r.s.Bytes)
		filled := int(part * gauge)
		gets := "-"
		if f.done == nil {
			gets = short(int64(f.meter.rate()))
		}
		row := []string{f.n.name, "[" + strings.Repeat("#", filled) + strings.Repeat("-", gauge-filled) + "]", fmt.Sprintf("%3d %%", int(part*100)), fmt.Sprintf("%5s", gets)}
		for i, rate := range rates[:columns] {
			cell := "-"
			if rate > 0 && f.done == nil && (i > 0 || r.killed.IsZero()) {
				cell = short(int64(rate))
			}
			row = append(row, fmt.Sprintf("%5s", cell)) // columns that keep their width are easier to follow
		}
		t.Add(row...)
	}
	row := []string{"", "sent so far", "", ""}
	for _, n := range sent[:columns] {
		row = append(row, short(n))
	}
	t.Add(row...)
	var b strings.Builder
	t.Write(&b)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// short is an amount in so few columns that five nodes fit a terminal of eighty: 3.38M.
func short(n int64) string {
	number, unit, _ := strings.Cut(api.FormatSize(n), " ")
	return number + strings.TrimSuffix(unit, "B")
}

// share is a part of a whole, 0 to 1.
func share(n, of int64) float64 {
	if of <= 0 {
		return 1
	}
	return min(float64(n)/float64(of), 1)
}

// progress is the same as an object.
func (r *round) progress() Progress {
	p := Progress{Event: "progress", Seconds: time.Since(r.began).Seconds(), Bytes: r.have(), Total: r.total()}
	for _, f := range r.by {
		n := Fetching{Name: f.n.name, Bytes: f.bytes, Total: r.s.Bytes, Rate: f.meter.rate(), From: []From{}}
		for _, at := range r.d.nodes {
			if from := f.from[at.name]; from != nil && from.bytes > 0 {
				n.From = append(n.From, From{Node: at.name, Bytes: from.bytes, Rate: from.meter.rate()})
			}
		}
		p.Nodes = append(p.Nodes, n)
	}
	return p
}

// tellQuarter is a line for each quarter that was passed since the last look; "" for none.
func (r *round) tellQuarter() string {
	now := int(share(r.have(), r.total()) * 4)
	if now <= r.quarter || now > 3 {
		return ""
	}
	r.quarter = now
	var have, sent []string
	total := map[string]int64{}
	for _, f := range r.by {
		have = append(have, fmt.Sprintf("%s has %d %%", f.n.name, int(share(f.bytes, r.s.Bytes)*100)))
		for name, from := range f.from {
			total[name] += from.bytes
		}
	}
	for _, n := range r.d.nodes {
		if total[n.name] > 0 {
			sent = append(sent, n.name+" "+api.FormatSize(total[n.name]))
		}
	}
	return "  " + strings.Join(have, ", ") + "; sent so far: " + strings.Join(sent, ", ")
}

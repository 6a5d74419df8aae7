//go:build linux

// Command start measures what shoal costs before and between transfers: from the
// start of "get" with a known peer to the first byte of content, from a .torrent and
// from a magnet link; the same from a member of a group, over the encrypted overlay; from
// the start of "up" until it answers; memory and CPU of an idle node, and of one that seeds
// a thousand small shares.
//
//	go run ./bench/start
//
// The first byte is seen by a relay between the two nodes, which notes when the first
// block passes. Of what is encrypted it is seen when it lies on the disk, verified.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"shoal/bench/clients"
	"shoal/bench/measure"
)

// options are the flags.
type options struct {
	measure.Options
	dir    string
	shares int
	idle   time.Duration
}

// result is one figure of one run.
type result struct {
	What  string  `json:"what"`
	Run   int     `json:"run"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// bench is one invocation.
type bench struct {
	o options
	*measure.Work
	order   []string // what, as first seen
	results []result
}

// limits are what the issue allows.
var limits = map[string]float64{
	"get FILE.torrent, start to first byte": 100, "get LINK, start to first byte": 100, "up, start to ready": 100,
	"up, start to an HTTP answer": 100, "idle, resident": 40, "idle, of a core": 0.2, "many shares, resident": 48, "many shares, of a core": 0.5,
	"get, peak resident": 96, "get LINK of a group, start to first byte": 100, "get LINK of a group, node runs, start to first byte": 60,
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "/dev/shm", "folder for everything")
	o.Flags(3)
	flag.IntVar(&o.shares, "shares", 1000, "small shares to seed")
	flag.DurationVar(&o.idle, "idle", 30*time.Second, "how long to watch an idle node")
	flag.Parse()
	os.Exit(clients.Main("start", func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	if _, err := clients.Shoal().Find(); err != nil {
		return err
	}
	work, err := o.Open(o.dir)
	if err != nil {
		return err
	}
	b := &bench{o: o, Work: work}
	defer b.Close()
	for n := range o.Runs {
		if err := b.inLab(ctx, n+1, b.firstByte); err != nil {
			return err
		}
		if err := b.inLab(ctx, n+1, b.members); err != nil {
			return err
		}
		if err := b.inLab(ctx, n+1, b.up); err != nil {
			return err
		}
	}
	if err := b.inLab(ctx, 1, b.idle); err != nil {
		return err
	}
	if err := b.inLab(ctx, 1, b.many); err != nil {
		return err
	}
	return b.Finish(os.Stdout, measure.Machine(), b.table())
}

// inLab runs one measurement in a lab of its own.
func (b *bench) inLab(ctx context.Context, number int, f func(context.Context, *clients.Lab, int) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	l, err := clients.NewLab(b.Dir)
	if err != nil {
		return err
	}
	if err = f(ctx, l, number); err == nil {
		return l.Close()
	}
	l.Stop()
	b.Keep = true
	return fmt.Errorf("%w (logs in %s)", err, l.Root())
}

// note keeps one figure.
func (b *bench) note(what string, number int, value float64, unit string) error {
	known := false
	for _, w := range b.order {
		known = known || w == what
	}
	if !known {
		b.order = append(b.order, what)
	}
	r := result{what, number, value, unit}
	b.results = append(b.results, r)
	fmt.Fprintf(os.Stderr, "run %d  %-40s %.2f %s\n", number, what, value, unit)
	return b.Run(r)
}

// firstByte shares a file and fetches it twice through a relay.
func (b *bench) firstByte(ctx context.Context, l *clients.Lab, number int) error {
	file, torrent := filepath.Join(l.Root(), "src", "file.bin"), filepath.Join(l.Root(), "file.torrent")
	if err := measure.WriteFile(file, "start", 64<<20); err != nil {
		return err
	}
	seed, shared, err := clients.ShareWithShoal(ctx, l, file, torrent)
	if err != nil {
		return err
	}
	for _, c := range []struct{ what, source string }{
		{"get FILE.torrent, start to first byte", torrent}, {"get LINK, start to first byte", shared.Link},
	} {
		if err := b.fetch(ctx, l, seed, c.what, c.source, number); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	return nil
}

// fetch gets one share through a new relay.
func (b *bench) fetch(ctx context.Context, l *clients.Lab, seed *clients.Node, what, source string, number int) error {
	between := (&clients.Node{Host: l.Host()}).Addr()
	r, err := newRelay(between, seed.Addr())
	if err != nil {
		return err
	}
	defer r.ln.Close()
	dir, err := l.Folder("dst")
	if err != nil {
		return err
	}
	node, err := clients.NewShoalNode(l)
	if err != nil {
		return err
	}
	began := time.Now()
	p, err := node.Run("get", source, "-o", dir, "--peer", between)
	if err != nil {
		return err
	}
	defer clients.Watch(p)()
	var connected, first time.Time
	for first.IsZero() {
		select {
		case connected = <-r.connected:
		case first = <-r.block:
		case <-p.Ended():
			return fmt.Errorf("get ended before a block came: %s", p.Tail(600))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if _, err := p.Wait(ctx); err != nil {
		return err
	}
	if !connected.IsZero() {
		if err := b.note(what+" (connected after)", number, ms(connected.Sub(began)), "ms"); err != nil {
			return err
		}
	}
	if err := b.note("get, peak resident", number, mib(p.Sample().PeakRSS), "MiB"); err != nil {
		return err
	}
	return b.note(what, number, ms(first.Sub(began)), "ms")
}

// node starts "up" and returns when it says that it is ready.
func (b *bench) node(ctx context.Context, l *clients.Lab) (node *clients.ShoalNode, p *clients.Process, api string, err error) {
	if node, err = clients.NewShoalNode(l); err != nil {
		return nil, nil, "", err
	}
	if p, err = node.Run("up"); err != nil {
		return nil, nil, "", err
	}
	var ready struct{ API string }
	err = clients.Event(ctx, p, "ready", &ready)
	return node, p, ready.API, err
}

// up measures the start of a node, and how soon its API answers anything at all.
func (b *bench) up(ctx context.Context, l *clients.Lab, number int) error {
	began := time.Now()
	_, p, api, err := b.node(ctx, l)
	if err != nil {
		return err
	}
	if err := b.note("up, start to ready", number, ms(time.Since(began)), "ms"); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/api/v1/health", nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: &http.Transport{Proxy: nil}}).Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if err := b.note("up, start to an HTTP answer", number, ms(time.Since(began)), "ms"); err != nil {
		return err
	}
	return b.note("up, time to stop", number, ms(p.Stop()), "ms")
}

// idle watches a node that has nothing to do.
func (b *bench) idle(ctx context.Context, l *clients.Lab, number int) error {
	_, p, _, err := b.node(ctx, l)
	if err != nil {
		return err
	}
	return b.watch(ctx, p, "idle", number, 2*time.Second)
}

// watch lets a node be for a while, once it has settled, and tells what it used.
func (b *bench) watch(ctx context.Context, p *clients.Process, what string, number int, settle time.Duration) error {
	settled := time.NewTimer(settle)
	defer settled.Stop()
	select {
	case <-settled.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	before := p.Sample().CPU()
	wait := time.NewTimer(b.o.idle)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-p.Ended():
		return fmt.Errorf("%s: the node ended: %s", what, p.Tail(600))
	case <-ctx.Done():
		return ctx.Err()
	}
	u := p.Sample()
	if err := b.note(what+", resident", number, mib(u.RSS), "MiB"); err != nil {
		return err
	}
	if err := b.note(what+", peak resident", number, mib(u.PeakRSS), "MiB"); err != nil {
		return err
	}
	return b.note(what+", of a core", number, 100*(u.CPU()-before).Seconds()/b.o.idle.Seconds(), "%")
}

// many shares many small files, a hundred with one command, and watches the node.
func (b *bench) many(ctx context.Context, l *clients.Lab, number int) error {
	dir := filepath.Join(l.Root(), "small")
	if err := measure.WriteMany(dir, b.o.shares, 32<<10); err != nil {
		return err
	}
	node, p, _, err := b.node(ctx, l)
	if err != nil {
		return err
	}
	began := time.Now()
	for from := 0; from < b.o.shares; from += 100 {
		args := []string{"share"}
		for i := from; i < min(from+100, b.o.shares); i++ {
			args = append(args, filepath.Join(dir, fmt.Sprintf("f%04d.bin", i)))
		}
		out, code, err := node.Do(ctx, args...)
		if err != nil || code != 0 {
			return fmt.Errorf("share: exit %d: %w: %.300s", code, err, out)
		}
	}
	if err := b.note("many shares, to publish them", number, ms(time.Since(began)), "ms"); err != nil {
		return err
	}
	return b.watch(ctx, p, "many shares", number, 10*time.Second) // in which they are parked
}

// table shows the median of each figure beside what is allowed.
func (b *bench) table() *measure.Table {
	t := &measure.Table{Title: fmt.Sprintf("Start and rest, %d shares, idle for %s", b.o.shares, b.o.idle), Head: []string{"what", "median", "unit", "at most", "verdict"}}
	for _, what := range b.order {
		var v []float64
		unit := ""
		for _, r := range b.results {
			if r.What == what {
				v, unit = append(v, r.Value), r.Unit
			}
		}
		m := measure.Median(v)
		limit, ok := limits[what]
		switch {
		case !ok:
			t.Add(what, m, unit, "", "")
		case m <= limit:
			t.Add(what, m, unit, limit, "met")
		default:
			t.Add(what, m, unit, limit, "missed")
		}
	}
	return t
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func mib(n int64) float64 { return float64(n) / (1 << 20) }

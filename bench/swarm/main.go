//go:build linux

// Command swarm measures one seed and many leeches that each may send 20 MB/s: how
// long until the last has everything, over the least time that is possible, which is
// max(F/u, N·F/(u+N·u)) for a file of F bytes, N leeches and u bytes a second from
// each node. Whatever is above 1 is upload that nobody used.
//
//	go run ./bench/swarm -runs 3
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"shoal/bench/clients"
	"shoal/bench/measure"
)

// options are the flags.
type options struct {
	measure.Options
	programs, dir string
	leeches       int
	mib, rate     int64
	timeout       time.Duration
}

// result is one run.
type result struct {
	Program  string  `json:"program"`
	Run      int     `json:"run"`
	Bound    float64 `json:"bound_seconds"`
	First    float64 `json:"first_seconds"`
	Middle   float64 `json:"median_seconds"`
	Last     float64 `json:"last_seconds"`
	Ratio    float64 `json:"last_over_bound"`
	SeedCPU  float64 `json:"seed_cpu_seconds"`
	LeechCPU float64 `json:"leeches_cpu_seconds"`
	PeakRSS  float64 `json:"leech_peak_mib"` // of the largest
	Foreign  float64 `json:"foreign_cores"`
	Error    string  `json:"error,omitempty"`
}

// bench is one invocation.
type bench struct {
	o options
	*measure.Work
	clients  []*clients.Client
	source   string
	torrents map[bool]string // with a tracker or without
	tracker  *clients.Tracker
}

func main() {
	o := flags()
	os.Exit(clients.Main("swarm", func(ctx context.Context) error { return run(ctx, o) }))
}

func flags() options {
	var o options
	flag.StringVar(&o.programs, "programs", "shoal,aria2,libtorrent", "programs, by comma; those that are not installed are left out")
	flag.StringVar(&o.dir, "dir", "/dev/shm", "folder for everything, on a RAM disk")
	o.Flags(3)
	flag.IntVar(&o.leeches, "leeches", 8, "leeches")
	flag.Int64Var(&o.mib, "size", 256, "MiB to fetch")
	flag.Int64Var(&o.rate, "rate", 20_000_000, "upload limit of each node, bytes a second")
	flag.DurationVar(&o.timeout, "timeout", 3*time.Minute, "of one run")
	flag.Parse()
	return o
}

func run(ctx context.Context, o options) error {
	work, err := o.Open(o.dir)
	if err != nil {
		return err
	}
	b := &bench{o: o, Work: work, source: filepath.Join(work.Dir, "src", "mid.bin"), torrents: map[bool]string{}}
	defer b.Close()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	var results []result
	for n := range o.Runs {
		for _, c := range b.clients {
			if err := ctx.Err(); err != nil {
				return err
			}
			res := b.one(ctx, c, n+1)
			results = append(results, res)
			if err := b.Run(res); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "run %d  %-12s %.2f × bound %s\n", n+1, c.Name, res.Ratio, res.Error)
		}
	}
	return b.Finish(os.Stdout, measure.Machine(), b.table(results))
}

// prepare finds the programs, makes the content and its torrents.
func (b *bench) prepare(ctx context.Context) error {
	found, err := clients.Named(strings.Split(b.o.programs, ",")...)
	if err != nil {
		return err
	}
	for _, c := range found {
		if _, err := c.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "left out:", err)
			continue
		}
		b.clients = append(b.clients, c)
	}
	if err := measure.WriteFile(b.source, "mid", b.o.mib<<20); err != nil {
		return err
	}
	lab, err := clients.NewLab(b.Dir)
	if err != nil {
		return err
	}
	if b.tracker, err = clients.StartTracker(lab); err != nil {
		return err
	}
	makers := clients.Makers()
	maker := makers[slices.IndexFunc(makers, func(m *clients.Maker) bool { return m.Name == "libtorrent" })]
	for _, tracked := range []bool{true, false} {
		r := clients.MakeRequest{Path: b.source, Out: filepath.Join(b.Dir, fmt.Sprintf("%v.torrent", tracked)), Format: clients.V1, Piece: 256 << 10}
		if tracked {
			r.Tracker = b.tracker.URL()
		}
		if _, err := maker.Make(ctx, r); err != nil {
			return err
		}
		b.torrents[tracked] = r.Out
	}
	return nil
}

// bound is the least time in which all leeches can have everything.
func (b *bench) bound() float64 {
	size, rate, n := float64(b.o.mib<<20), float64(b.o.rate), float64(b.o.leeches)
	return max(size/rate, n*size/(rate+n*rate))
}

// one does one run. What went wrong stands in the result.
func (b *bench) one(ctx context.Context, c *clients.Client, number int) result {
	res := result{Program: c.Name, Run: number, Bound: b.bound()}
	ctx, cancel := context.WithTimeout(ctx, b.o.timeout)
	defer cancel()
	if err := b.swarm(ctx, c, &res); err != nil {
		res.Error = err.Error()
	}
	return res
}

func (b *bench) swarm(ctx context.Context, c *clients.Client, res *result) (err error) {
	l, err := clients.NewLab(b.Dir)
	if err != nil {
		return err
	}
	defer func() {
		l.Stop()
		if err == nil {
			err = l.Close()
		}
	}()
	b.tracker.Forget()
	torrent := b.torrents[!c.Dials]
	seed, err := c.Start(ctx, l, clients.Job{Dir: filepath.Dir(b.source), Torrent: torrent, Seed: true, Up: b.o.rate})
	if err != nil {
		return err
	}
	if !c.Dials {
		err := b.tracker.Await(ctx, func(a clients.Announce) bool { return a.Peer.String() == seed.Addr() })
		if err != nil {
			return err
		}
	}
	before := seed.Process.Sample().CPU()
	busy, err := clients.Busy()
	if err != nil {
		return err
	}
	began := time.Now()
	nodes, folders, err := b.leeches(ctx, l, c, seed, torrent)
	if err != nil {
		return err
	}
	times, err := finish(ctx, nodes, began)
	if err != nil {
		return err
	}
	after, err := clients.Busy()
	if err != nil {
		return err
	}
	res.First, res.Middle, res.Last = times[0], measure.Median(times), times[len(times)-1]
	res.Ratio = res.Last / res.Bound
	res.SeedCPU = (seed.Process.Sample().CPU() - before).Seconds()
	for _, n := range nodes {
		u := n.Process.Sample()
		res.LeechCPU += u.CPU().Seconds()
		res.PeakRSS = max(res.PeakRSS, float64(u.PeakRSS)/(1<<20))
	}
	res.Foreign = ((after - busy).Seconds() - res.SeedCPU - res.LeechCPU) / res.Last
	l.Stop()
	for _, dir := range folders {
		if err := measure.Same(b.source, filepath.Join(dir, filepath.Base(b.source))); err != nil {
			return err
		}
	}
	return nil
}

// leeches starts them one after the other. Each that can dial is told of the seed and
// of those before it; the others ask the tracker.
func (b *bench) leeches(ctx context.Context, l *clients.Lab, c *clients.Client, seed *clients.Node, torrent string) ([]*clients.Node, []string, error) {
	var nodes []*clients.Node
	var folders []string
	peers := []string{seed.Addr()}
	for range b.o.leeches {
		dir, err := l.Folder("dst")
		if err != nil {
			return nil, nil, err
		}
		j := clients.Job{Dir: dir, Torrent: torrent, Up: b.o.rate}
		if c.Dials {
			j.Peers = slices.Clone(peers)
		}
		n, err := c.Start(ctx, l, j)
		if err != nil {
			return nil, nil, err
		}
		nodes, folders, peers = append(nodes, n), append(folders, dir), append(peers, n.Addr())
	}
	return nodes, folders, nil
}

// finish waits for all and returns when each had everything, in order.
func finish(ctx context.Context, nodes []*clients.Node, began time.Time) ([]float64, error) {
	times, errs := make([]float64, len(nodes)), make([]error, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() {
			errs[i] = n.Complete(ctx)
			times[i] = time.Since(began).Seconds()
		})
	}
	all.Wait()
	slices.Sort(times)
	return times, errors.Join(errs...)
}

// table shows medians over the runs that succeeded.
func (b *bench) table(results []result) *measure.Table {
	t := &measure.Table{
		Title: fmt.Sprintf("1 → %d, %d MiB, %.0f MB/s up per node, bound %.1f s, medians of %d", b.o.leeches, b.o.mib, float64(b.o.rate)/1e6, b.bound(), b.o.Runs),
		Head:  []string{"program", "last / bound", "first s", "median s", "last s", "CPU s seed", "CPU s leeches", "MiB largest leech", "foreign", "failed"},
		Notes: []string{"foreign: cores used by anything but the nodes; a run with a large one is suspect."},
	}
	for _, c := range b.clients {
		var good []result
		failed := 0
		for _, r := range results {
			switch {
			case r.Program != c.Name:
			case r.Error != "":
				failed++
			default:
				good = append(good, r)
			}
		}
		median := func(of func(result) float64) float64 {
			var v []float64
			for _, r := range good {
				v = append(v, of(r))
			}
			return measure.Median(v)
		}
		t.Add(c.Name, median(func(r result) float64 { return r.Ratio }), median(func(r result) float64 { return r.First }),
			median(func(r result) float64 { return r.Middle }), median(func(r result) float64 { return r.Last }),
			median(func(r result) float64 { return r.SeedCPU }), median(func(r result) float64 { return r.LeechCPU }),
			fmt.Sprintf("%.0f", median(func(r result) float64 { return r.PeakRSS })), median(func(r result) float64 { return r.Foreign }), failed)
	}
	return t
}

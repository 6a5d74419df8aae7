//go:build linux

// Command link measures encrypted fetching over a link as there are between continents:
// 100 Mbit/s, a round trip of 100 ms, one packet of a hundred lost. One plain TCP
// connection, which uses the congestion control that the overlay's connections use, takes
// turns with shoal fetching from one member of its group, and from four.
//
//	go run ./bench/link -runs 3
//
// The network is made of namespaces (net.go): it needs root, ip, tc and nsenter.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"shoal/bench/clients"
	"shoal/bench/measure"
)

// options are the flags.
type options struct {
	measure.Options
	dir       string
	mib       int64
	sources   int
	rate      string
	mbit      float64
	roundTrip time.Duration
	loss      float64
	timeout   time.Duration
}

// result is one run.
type result struct {
	What    string  `json:"what"`
	Run     int     `json:"run"`
	Seconds float64 `json:"seconds"`
	Mbit    float64 `json:"mbit_per_s"`
	Lost    float64 `json:"lost"` // of the packets that came, on the way to who fetches
	Error   string  `json:"error,omitempty"`
}

// bench is one invocation.
type bench struct {
	o options
	*measure.Work
	p       *picture
	file    string
	results []result
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "/dev/shm", "folder for everything")
	o.Flags(3)
	flag.Int64Var(&o.mib, "size", 512, "MiB to fetch: enough that the beginning does not count")
	flag.IntVar(&o.sources, "sources", 4, "how many have it")
	flag.Float64Var(&o.mbit, "rate", 100, "Mbit/s of the link, each way")
	flag.DurationVar(&o.roundTrip, "rtt", 100*time.Millisecond, "round trip of the link")
	flag.Float64Var(&o.loss, "loss", 0.01, "share of packets lost, each way")
	flag.DurationVar(&o.timeout, "timeout", 3*time.Minute, "of one run")
	flag.Parse()
	o.rate = fmt.Sprintf("%gmbit", o.mbit)
	os.Exit(clients.Main("link", func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	if !clients.Isolated() {
		return errors.New("no namespace can be made here")
	}
	if _, err := clients.Shoal().Find(); err != nil {
		return err
	}
	work, err := o.Open(o.dir)
	if err != nil {
		return err
	}
	b := &bench{o: o, Work: work, file: filepath.Join(work.Dir, "src", "file.bin")}
	defer b.Close()
	if err := measure.WriteFile(b.file, "link", o.mib<<20); err != nil {
		return err
	}
	if b.p, err = draw(ctx, o); err != nil {
		return err
	}
	for n := range o.Runs {
		for _, what := range b.whats() {
			if err := b.one(ctx, what, n+1); err != nil {
				return err
			}
		}
	}
	return b.Finish(os.Stdout, measure.Machine(), b.table())
}

// what is measured, and with how many sources; none: plain TCP.
type what struct {
	name    string
	sources int
}

func (b *bench) whats() []what {
	all := []what{{"one TCP connection", 0}, {"shoal, one source", 1}}
	if b.o.sources > 1 {
		all = append(all, what{fmt.Sprintf("shoal, %d sources", b.o.sources), b.o.sources})
	}
	return all
}

// one does one run. A failure is noted in the result.
func (b *bench) one(ctx context.Context, w what, number int) error {
	limited, cancel := context.WithTimeout(ctx, b.o.timeout)
	defer cancel()
	lost, seen := b.p.wire.lost[1].Load(), b.p.wire.seen[1].Load()
	var took time.Duration
	var err error
	if w.sources == 0 {
		took, err = b.p.plainTCP(limited, b.o.mib<<20)
	} else {
		took, err = b.fetch(limited, w.sources)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r := result{What: w.name, Run: number, Seconds: took.Seconds()}
	r.Lost = float64(b.p.wire.lost[1].Load()-lost) / max(1, float64(b.p.wire.seen[1].Load()-seen))
	if err != nil {
		r.Error = err.Error()
	} else {
		r.Mbit = float64(b.o.mib<<23) / 1e6 / r.Seconds
	}
	b.results = append(b.results, r)
	fmt.Fprintf(os.Stderr, "run %d  %-20s %6.1f Mbit/s  %.2f %% lost  %s\n", number, w.name, r.Mbit, 100*r.Lost, r.Error)
	return b.Run(r)
}

// fetch makes a group, has its far members share the file and the near one fetch it, from
// the start of "get" on.
func (b *bench) fetch(ctx context.Context, sources int) (took time.Duration, err error) {
	l, err := clients.NewLab(b.Dir)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err == nil {
			err = l.Close()
			return
		}
		l.Stop()
		b.Keep = true
		err = fmt.Errorf("%w (logs in %s)", err, l.Root())
	}()
	link, near, err := b.group(ctx, l, sources)
	if err != nil {
		return 0, err
	}
	dst, err := l.Folder("dst")
	if err != nil {
		return 0, err
	}
	began := time.Now()
	get, err := near.Run("get", link, "-o", dst)
	if err != nil {
		return 0, err
	}
	if err := clients.Event(ctx, get, "done", nil); err != nil {
		return 0, err
	}
	took = time.Since(began)
	return took, measure.Same(b.file, filepath.Join(dst, filepath.Base(b.file)))
}

// group starts the nodes, the near one last.
func (b *bench) group(ctx context.Context, l *clients.Lab, sources int) (link string, near *clients.Member, err error) {
	var g *clients.Group
	for i := range sources {
		n, err := b.p.far[i].node(l, farHost(i))
		if err != nil {
			return "", nil, err
		}
		if g == nil {
			g, err = clients.NewGroup(ctx, n, "link")
		} else {
			_, err = g.Join(ctx, n)
		}
		if err != nil {
			return "", nil, err
		}
		shared, err := g.Share(ctx, g.Members[i], b.file)
		if err != nil {
			return "", nil, err
		}
		link = shared.Link
	}
	n, err := b.p.near.node(l, nearHost)
	if err != nil {
		return "", nil, err
	}
	near, err = g.Join(ctx, n)
	return link, near, err
}

// table has the medians.
func (b *bench) table() *measure.Table {
	t := &measure.Table{
		Title: fmt.Sprintf("%d MiB over %g Mbit/s, %v round trip, %g %% lost each way, medians of %d", b.o.mib, b.o.mbit, b.o.roundTrip, 100*b.o.loss, b.o.Runs),
		Head:  []string{"what", "Mbit/s", "× TCP", "× link", "least", "most", "failed"},
		Notes: []string{"TCP: one plain connection, congestion control " + b.p.congestion() + "."},
	}
	tcp := 0.0
	for _, w := range b.whats() {
		var v []float64
		failed := 0
		for _, r := range b.results {
			switch {
			case r.What != w.name:
			case r.Error != "":
				failed++
			default:
				v = append(v, r.Mbit)
			}
		}
		m := measure.Median(v)
		if w.sources == 0 {
			tcp = m
		}
		least, most := 0.0, 0.0
		for i, x := range v {
			if i == 0 || x < least {
				least = x
			}
			most = max(most, x)
		}
		t.Add(w.name, m, m/max(tcp, 1e-9), m/b.o.mbit, least, most, failed)
	}
	return t
}

//go:build linux

// Command transfer measures one node fetching from another of the same program, for
// shoal and every installed BitTorrent program, side by side: a 2 GiB file and 2,000
// files of 256 KiB, into a RAM disk and to disk, on loopback. Programs take turns (A
// B A B); the table has medians, the ratio to the fastest foreign program, CPU
// seconds of both sides, peak memory and what else the machine was doing. The clock
// runs from the leech's start until it says that it has everything, verified; writing
// back to the disk is timed apart, and every result is compared byte by byte.
//
// shoal-group is shoal between two running members of a group that one joined by the
// other's ticket: encrypted, from the start of "get" on. Syncthing's clock runs from when
// it says that it begins to fetch.
//
//	go run ./bench/transfer -runs 5
//	go run ./bench/transfer -runs 5 -data big -store ram -programs shoal-group/v2,bare-tls/v2,syncthing/v2,shoal/v2
//	go run ./bench/transfer -programs shoal/v1,rtorrent/v1,bare -data big -store ram
//
// It runs inside a network namespace where the system allows one; then transmission,
// which dials no loopback address, has one that it does dial.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"shoal/bench/clients"
	"shoal/bench/measure"
)

// transferTimeout is how long one run may take, start of both programs included:
// transmission needs 4.5 minutes for 2 GiB.
const transferTimeout = 6 * time.Minute

// bench is one invocation.
type bench struct {
	*measure.Work
	rows     []row
	cells    []cell
	runs     int
	timeout  time.Duration
	places   map[string]place
	torrents map[string]string // "DATA FORMAT" → path
	tracker  *clients.Tracker
}

// options are the flags.
type options struct {
	measure.Options
	programs, stores, data, ram, disk string
	mib, warm                         int64
	timeout                           time.Duration
}

func main() {
	if mode := os.Getenv(bareMode); mode != "" {
		if err := bare(mode, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "bare:", err)
			os.Exit(1)
		}
		return
	}
	o := flags()
	os.Exit(clients.Main("transfer", func(ctx context.Context) error { return run(ctx, o) }))
}

func flags() options {
	var o options
	flag.StringVar(&o.programs, "programs", "shoal/v1,shoal/v2,shoal/hybrid,libtorrent/v1,aria2/v1,rtorrent/v1,transmission/v1,qbittorrent/v1,bare/v1,bare/v2",
		"rows: PROGRAM/FORMAT,...; those that are not installed are left out")
	flag.StringVar(&o.stores, "store", "ram,disk", "where to: ram, disk")
	flag.StringVar(&o.data, "data", "big,many", "what: big (one file), many (2,000 files of 256 KiB)")
	flag.StringVar(&o.ram, "ram", "/dev/shm", "folder on a RAM disk")
	flag.StringVar(&o.disk, "disk", os.TempDir(), "folder on a disk")
	o.Flags(3)
	flag.Int64Var(&o.mib, "size", 2048, "MiB of the big file; the many files are a quarter of it")
	flag.Int64Var(&o.warm, "warm", -1, "MiB of memory to touch first; -1: what the runs need; 0: none")
	flag.DurationVar(&o.timeout, "timeout", transferTimeout, "of one run")
	flag.Parse()
	return o
}

func run(ctx context.Context, o options) error {
	work, err := o.Open(o.ram)
	if err != nil {
		return err
	}
	b := &bench{Work: work, runs: o.Runs, timeout: o.timeout, places: map[string]place{}, torrents: map[string]string{}}
	defer b.Close()
	defer b.clear()
	if b.rows, err = parseRows(o.programs); err != nil {
		return err
	}
	if b.cells, err = parseCells(o); err != nil {
		return err
	}
	trackerLab, err := clients.NewLab(b.Dir)
	if err != nil {
		return err
	}
	defer trackerLab.Stop()
	if b.tracker, err = clients.StartTracker(trackerLab); err != nil {
		return err
	}
	if err := b.prepare(ctx, o); err != nil {
		return err
	}
	return b.all(ctx)
}

// clear removes what was transferred and what arrived.
func (b *bench) clear() {
	for _, p := range b.places {
		os.RemoveAll(p.root)
	}
}

// parseCells reads the lists of columns.
func parseCells(o options) ([]cell, error) {
	var cells []cell
	for _, data := range strings.Split(o.data, ",") {
		for _, store := range strings.Split(o.stores, ",") {
			if data != "big" && data != "many" || store != "ram" && store != "disk" {
				return nil, fmt.Errorf("no column is %s into %s", data, store)
			}
			cells = append(cells, cell{store, data})
		}
	}
	return cells, nil
}

// parseRows reads the list of rows and leaves out what is not installed.
func parseRows(list string) ([]row, error) {
	formats := map[string]clients.Format{"v1": clients.V1, "v2": clients.V2, "hybrid": clients.Hybrid}
	var rows []row
	for _, name := range strings.Split(list, ",") {
		program, format, _ := strings.Cut(name, "/")
		if format == "" {
			format = "v1"
		}
		f, ok := formats[format]
		if !ok {
			return nil, fmt.Errorf("%s: no format %q", name, format)
		}
		r := row{program + "/" + format, bareClient(program, format), f}
		if !r.isLimit() {
			found, err := clients.Named(program)
			if err != nil {
				return nil, err
			}
			r.client = found[0]
		}
		version, err := r.client.Find()
		if err != nil {
			fmt.Fprintln(os.Stderr, "left out:", err)
			continue
		}
		if r.client.Formats&f == 0 {
			return nil, fmt.Errorf("%s %s cannot do %s", program, version, format)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("nothing to run")
	}
	return rows, nil
}

// all runs everything, each row in turn, and prints the tables.
func (b *bench) all(ctx context.Context) error {
	var results []result
	for _, c := range b.cells {
		for n := range b.runs {
			for _, r := range b.rows {
				if err := ctx.Err(); err != nil {
					return err
				}
				res := b.measureRun(ctx, r, c, n+1)
				results = append(results, res)
				if err := b.Run(res); err != nil {
					return err
				}
				note := fmt.Sprintf("%.0f MB/s", res.Rate)
				if res.Error != "" {
					note = res.Error
				}
				fmt.Fprintf(os.Stderr, "%-10s %-5s run %d  %-16s %s\n", c.store, c.data, n+1, r.name, note)
			}
		}
	}
	var tables []*measure.Table
	for _, c := range b.cells {
		tables = append(tables, b.table(c, results))
	}
	return b.Finish(os.Stdout, measure.Machine(), tables...)
}

// table makes one cell's table.
func (b *bench) table(c cell, results []result) *measure.Table {
	size := b.places[c.store].size[c.data]
	t := &measure.Table{Title: fmt.Sprintf("1 → 1, %s, %d MiB, medians of %d", c, size>>20, b.runs),
		Head: []string{"program", "MB/s", "× fastest foreign", "× bare", "seconds", "CPU s seed", "CPU s leech", "CPU s both", "MiB seed", "MiB leech", "sync s", "foreign", "failed"}}
	fastest := 0.0
	medians := map[string]func(func(result) float64) float64{}
	for _, r := range b.rows {
		var good []result
		for _, res := range results {
			if res.Program == r.name && res.Store == c.store && res.Data == c.data && res.Error == "" {
				good = append(good, res)
			}
		}
		medians[r.name] = func(of func(result) float64) float64 {
			var v []float64
			for _, res := range good {
				v = append(v, of(res))
			}
			return measure.Median(v)
		}
		if r.isForeign() {
			fastest = max(fastest, medians[r.name](func(x result) float64 { return x.Rate }))
		}
	}
	for _, r := range b.rows {
		limit := medians[r.limit()]
		if limit == nil {
			limit = func(func(result) float64) float64 { return 0 }
		}
		b.tableRow(t, r, c, medians[r.name], [2]float64{fastest, limit(func(x result) float64 { return x.Rate })}, results)
	}
	t.Notes = []string{"× bare: of the limit program of its kind, encrypted or not.", "foreign: cores used by anything but the two nodes; a run with a large one is suspect."}
	if slices.ContainsFunc(b.rows, func(r row) bool { return r.client.Name == "transmission" }) {
		t.Notes = append(t.Notes, "transmission 3.00 decides whom to serve every ten seconds, and asks one peer for 512 blocks once a second: 8.4 MB/s at most.")
	}
	return t
}

// tableRow adds one program's line.
func (b *bench) tableRow(t *measure.Table, r row, c cell, median func(func(result) float64) float64, against [2]float64, results []result) {
	failed := 0
	for _, res := range results {
		if res.Program == r.name && res.Store == c.store && res.Data == c.data && res.Error != "" {
			failed++
		}
	}
	rate := median(func(x result) float64 { return x.Rate })
	var ratios [2]string
	for i, x := range against {
		if ratios[i] = "-"; x > 0 {
			ratios[i] = fmt.Sprintf("%.2f", rate/x)
		}
	}
	t.Add(r.name, fmt.Sprintf("%.0f", rate), ratios[0], ratios[1], median(func(x result) float64 { return x.Seconds }),
		median(func(x result) float64 { return x.SeedCPU }), median(func(x result) float64 { return x.LeechCPU }),
		median(func(x result) float64 { return x.SeedCPU + x.LeechCPU }),
		fmt.Sprintf("%.0f", median(func(x result) float64 { return x.SeedRSS })),
		fmt.Sprintf("%.0f", median(func(x result) float64 { return x.LeechRSS })),
		median(func(x result) float64 { return x.Sync }), median(func(x result) float64 { return x.Foreign }), failed)
}

// prepare makes content and torrents, and touches the memory that will be used.
func (b *bench) prepare(ctx context.Context, o options) error {
	var needed int64
	for _, c := range b.cells {
		size := o.mib << 20
		if c.data == "many" {
			size = o.mib << 18
		}
		p, ok := b.places[c.store]
		if !ok {
			root, err := os.MkdirTemp(map[string]string{"ram": o.ram, "disk": o.disk}[c.store], "shoal-bench-")
			if err != nil {
				return err
			}
			p = place{root: root, size: map[string]int64{}}
			b.places[c.store] = p
		}
		p.size[c.data] = size
		needed += 2 * size
	}
	if o.warm != 0 {
		if o.warm > 0 {
			needed = o.warm << 20
		}
		took, err := measure.Warm(o.ram, needed)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "touched %d MiB of memory in %.1f s\n", needed>>20, took.Seconds())
	}
	for _, c := range b.cells {
		if err := b.content(c); err != nil {
			return err
		}
		if err := b.torrentsOf(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// content makes what is to be transferred.
func (b *bench) content(c cell) error {
	p := b.places[c.store]
	if c.data == "many" {
		return measure.WriteMany(p.source(c.data), int(p.size[c.data]>>18), 256<<10)
	}
	return measure.WriteFile(p.source(c.data), "big", p.size[c.data])
}

// torrentsOf makes the torrents that the rows need, with pieces of 1 MiB; a hybrid
// of many small files has pieces of their size, or padding would be most of it.
func (b *bench) torrentsOf(ctx context.Context, c cell) error {
	makers := clients.Makers()
	maker := makers[slices.IndexFunc(makers, func(m *clients.Maker) bool { return m.Name == "libtorrent" })]
	for _, r := range b.rows {
		key := c.data + " " + r.format.String()
		if r.client.Describes || b.torrents[key] != "" {
			continue
		}
		piece := 1 << 20
		if c.data == "many" && r.format != clients.V1 {
			piece = 256 << 10
		}
		path := filepath.Join(b.Dir, strings.ReplaceAll(key, " ", "-")+".torrent")
		_, err := maker.Make(ctx, clients.MakeRequest{Path: b.places[c.store].source(c.data), Out: path, Format: r.format, Piece: piece, Tracker: b.tracker.URL()})
		if err != nil {
			return err
		}
		b.torrents[key] = path
	}
	return nil
}

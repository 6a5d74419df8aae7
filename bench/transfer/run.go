//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"shoal/bench/clients"
	"shoal/bench/measure"
)

// row is one line of the table: a program and a format.
type row struct {
	name   string
	client *clients.Client
	format clients.Format
}

// encrypted are the clients whose limit is the encrypted one.
var encrypted = []string{"shoal-group", "syncthing", bareTLS}

// isLimit tells a limit program, which is this program itself.
func (r row) isLimit() bool {
	program, _, _ := strings.Cut(r.name, "/")
	return program == "bare" || program == bareTLS
}

// isForeign tells the programs of others.
func (r row) isForeign() bool {
	return !r.isLimit() && r.client.Name != "shoal" && r.client.Name != "shoal-group"
}

// limit is the row of the limit program for this one.
func (r row) limit() string {
	program, format, _ := strings.Cut(r.name, "/")
	if slices.Contains(encrypted, program) {
		return bareTLS + "/" + format
	}
	return "bare/" + format
}

// cell is one column of the table: where the data goes and what it is.
type cell struct {
	store, data string
}

func (c cell) String() string { return c.store + ", " + c.data }

// result is one run.
type result struct {
	Program  string  `json:"program"`
	Store    string  `json:"store"`
	Data     string  `json:"data"`
	Run      int     `json:"run"`
	Seconds  float64 `json:"seconds"` // start of the leech to "I have everything, verified"
	Rate     float64 `json:"mb_per_s"`
	Sync     float64 `json:"sync_seconds"` // of the leech's file system, afterwards
	SeedCPU  float64 `json:"seed_cpu_seconds"`
	LeechCPU float64 `json:"leech_cpu_seconds"`
	SeedRSS  float64 `json:"seed_peak_mib"`
	LeechRSS float64 `json:"leech_peak_mib"`
	Foreign  float64 `json:"foreign_cores"` // CPU used by anything but the two nodes
	Error    string  `json:"error,omitempty"`
}

// place is one store with its content.
type place struct {
	root string
	size map[string]int64
}

// source is the path of some content.
func (p place) source(data string) string {
	if data == "many" {
		return filepath.Join(p.root, "src", "many")
	}
	return filepath.Join(p.root, "src", "big.bin")
}

// measureRun does one transfer. The result says what went wrong instead of an error:
// one program's failure must not end the comparison.
func (b *bench) measureRun(ctx context.Context, r row, c cell, number int) (res result) {
	res = result{Program: r.name, Store: c.store, Data: c.data, Run: number}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if err := b.transfer(ctx, r, c, &res); err != nil {
		res.Error = err.Error()
	}
	return res
}

func (b *bench) transfer(ctx context.Context, r row, c cell, res *result) (err error) {
	p := b.places[c.store]
	dst, err := os.MkdirTemp(p.root, "dst-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, measure.Empty(dst)) }()
	// Yesterday's writes and a cold cache are nobody's fault.
	if _, err := measure.Sync(p.root); err != nil {
		return err
	}
	if err := measure.Cache(p.source(c.data)); err != nil {
		return err
	}
	l, err := clients.NewLab(b.Dir)
	if err != nil {
		return err
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
	b.tracker.Forget()
	if err := b.clock(ctx, l, r, c, dst, res); err != nil {
		return err
	}
	sync, err := measure.Sync(dst)
	if err != nil {
		return err
	}
	res.Sync = sync.Seconds()
	l.Stop()
	return measure.Same(p.source(c.data), filepath.Join(dst, filepath.Base(p.source(c.data))))
}

// clock is the measured part: from the leech's start until it says that it has
// everything.
func (b *bench) clock(ctx context.Context, l *clients.Lab, r row, c cell, dst string, res *result) error {
	p := b.places[c.store]
	torrent, source := b.torrents[c.data+" "+r.format.String()], p.source(c.data)
	var began time.Time
	var busyBefore time.Duration
	before := map[*clients.Process]time.Duration{}
	pair := clients.Pair{Seed: r.client, Leech: r.client, Tracker: b.tracker,
		SeedJob:  clients.Job{Dir: filepath.Dir(source), Torrent: torrent, Path: source},
		LeechJob: clients.Job{Dir: dst, Torrent: torrent, Path: source}}
	pair.Ready = func(running ...*clients.Node) {
		for _, n := range running {
			before[n.Process] = n.Process.Sample().CPU()
		}
		busyBefore, _ = clients.Busy()
		began = time.Now()
	}
	seed, leech, err := pair.Start(ctx, l)
	if err != nil {
		return err
	}
	stop := clients.Watch(seed.Process, leech.Process)
	err = leech.Complete(ctx)
	wall := time.Since(began)
	busy, _ := clients.Busy()
	stop()
	if err != nil {
		return err
	}
	s, x := seed.Process.Sample(), leech.Process.Sample()
	res.Seconds = wall.Seconds()
	res.Rate = float64(p.size[c.data]) / 1e6 / wall.Seconds()
	res.SeedCPU, res.LeechCPU = (s.CPU() - before[seed.Process]).Seconds(), (x.CPU() - before[leech.Process]).Seconds()
	res.SeedRSS, res.LeechRSS = float64(s.PeakRSS)/(1<<20), float64(x.PeakRSS)/(1<<20)
	res.Foreign = ((busy - busyBefore).Seconds() - res.SeedCPU - res.LeechCPU) / res.Seconds
	return nil
}

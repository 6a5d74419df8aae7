//go:build linux

// Command create measures making a torrent of one large file in v1, v2 and hybrid:
// shoal, mktorrent, transmission-create, libtorrent, and the limit, which only reads
// and hashes on all cores. Seconds are those of the whole program, start included
// (shoal: until it prints the link); "own" is the program's own count of the creation
// where it has one.
//
//	go run ./bench/create -runs 3
package main

import (
	"context"
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
	dir        string
	mib, piece int64
}

// row is one program and format.
type row struct {
	name   string
	format clients.Format
	make   func(ctx context.Context, r clients.MakeRequest) (clients.Made, error)
}

// result is one run.
type result struct {
	Program string  `json:"program"`
	Run     int     `json:"run"`
	Seconds float64 `json:"seconds"`
	Own     float64 `json:"own_seconds"`
	Rate    float64 `json:"mb_per_s"`
	CPU     float64 `json:"cpu_seconds"`
	PeakRSS float64 `json:"peak_mib"`
	Hash    string  `json:"info_hash,omitempty"`
	Error   string  `json:"error,omitempty"`
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "/dev/shm", "folder for the file, on a RAM disk")
	o.Flags(3)
	flag.Int64Var(&o.mib, "size", 4096, "MiB of the file")
	flag.Int64Var(&o.piece, "piece", 1<<20, "piece length in bytes, a power of two")
	flag.Parse()
	os.Exit(clients.Main("create", func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	work, err := o.Open(o.dir)
	if err != nil {
		return err
	}
	defer work.Close()
	file := filepath.Join(work.Dir, "file.bin")
	if err := measure.WriteFile(file, "file", o.mib<<20); err != nil {
		return err
	}
	rows := allRows(work.Dir)
	var results []result
	for n := range o.Runs {
		for _, r := range rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			res := one(ctx, o, r, file, filepath.Join(work.Dir, "out.torrent"), n+1)
			results = append(results, res)
			if err := work.Run(res); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "run %d  %-20s %.0f MB/s %s\n", n+1, r.name, res.Rate, res.Error)
		}
	}
	return work.Finish(os.Stdout, measure.Machine(), table(o, rows, results))
}

// allRows lists what is installed, format by format, the limit last.
func allRows(work string) []row {
	var rows []row
	for _, f := range []clients.Format{clients.V1, clients.V2, clients.Hybrid} {
		if _, err := clients.Shoal().Find(); err == nil {
			rows = append(rows, row{"shoal/" + f.String(), f, shoalMake(work)})
		} else if f == clients.V1 {
			fmt.Fprintln(os.Stderr, "left out:", err)
		}
		for _, m := range clients.Makers() {
			if m.Formats&f == 0 {
				continue
			}
			if _, err := m.Find(); err != nil {
				fmt.Fprintln(os.Stderr, "left out:", err)
				continue
			}
			rows = append(rows, row{m.Name + "/" + f.String(), f, m.Make})
		}
		rows = append(rows, row{"limit/" + f.String(), f, func(_ context.Context, r clients.MakeRequest) (clients.Made, error) {
			return limit(r.Path, f, int64(r.Piece))
		}})
	}
	return rows
}

// shoalMake publishes the file with shoal, in a new home each time.
func shoalMake(work string) func(context.Context, clients.MakeRequest) (clients.Made, error) {
	return func(ctx context.Context, r clients.MakeRequest) (clients.Made, error) {
		l, err := clients.NewLab(work)
		if err != nil {
			return clients.Made{}, err
		}
		made, _, err := clients.MakeWithShoal(ctx, l, r)
		l.Stop()
		if err == nil {
			err = l.Close()
		}
		return made, err
	}
}

// one does one run.
func one(ctx context.Context, o options, r row, file, out string, number int) result {
	res := result{Program: r.name, Run: number}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	made, err := r.make(ctx, clients.MakeRequest{Path: file, Out: out, Format: r.format, Piece: int(o.piece)})
	if err != nil {
		res.Error = err.Error()
		return res
	}
	res.Seconds, res.Own = made.Wall, made.Seconds
	if res.Seconds == 0 {
		res.Seconds = made.Seconds
	}
	res.Rate = float64(o.mib<<20) / 1e6 / res.Seconds
	res.CPU, res.PeakRSS = made.CPU.Seconds(), float64(made.PeakRSS)/(1<<20)
	res.Hash = made.V1 + made.V2
	return res
}

// table shows medians, and whether info hashes agree where programs tell them.
func table(o options, rows []row, results []result) *measure.Table {
	t := &measure.Table{Title: fmt.Sprintf("Creating metainfo of a %d MiB file, pieces of %d KiB, medians of %d", o.mib, o.piece>>10, o.Runs),
		Head:  []string{"program", "MB/s", "× limit", "seconds", "own s", "CPU s", "peak MiB", "info hash", "failed"},
		Notes: []string{"limit: pread of 128 KiB at a time and hashing on all cores, nothing else. info hash: its first digits, where the program tells it."}}
	for _, r := range rows {
		rate := median(results, r.name, func(x result) float64 { return x.Rate })
		best := median(results, "limit/"+r.format.String(), func(x result) float64 { return x.Rate })
		failed, hash := 0, "-"
		for _, x := range results {
			if x.Program == r.name && x.Error != "" {
				failed++
			}
			if x.Program == r.name && len(x.Hash) >= 8 {
				hash = x.Hash[:8]
			}
		}
		t.Add(r.name, fmt.Sprintf("%.0f", rate), rate/best, median(results, r.name, func(x result) float64 { return x.Seconds }),
			median(results, r.name, func(x result) float64 { return x.Own }), median(results, r.name, func(x result) float64 { return x.CPU }),
			fmt.Sprintf("%.0f", median(results, r.name, func(x result) float64 { return x.PeakRSS })), hash, failed)
	}
	return t
}

// median is that of one program's successful runs.
func median(results []result, program string, of func(result) float64) float64 {
	var v []float64
	for _, r := range results {
		if r.Program == program && r.Error == "" {
			v = append(v, of(r))
		}
	}
	return measure.Median(v)
}

//go:build linux

package clients

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

//go:embed libtorrent_make.py
var libtorrentMake string

// MakeRequest says what torrent to make.
type MakeRequest struct {
	Path    string // file or folder
	Out     string // the .torrent
	Format  Format
	Piece   int // piece length, a power of two
	Tracker string
}

// Made is what a maker says of its torrent.
type Made struct {
	Seconds float64 `json:"seconds"` // of the creation by the program's own count, else Wall
	Wall    float64 `json:"-"`       // seconds from the program's start to its end, or its answer
	V1      string  `json:"v1"`      // info hashes in hex, libtorrent only
	V2      string  `json:"v2"`
	Magnet  string  `json:"magnet"` // libtorrent only
	Pieces  int     `json:"pieces"`
	CPU     time.Duration
	PeakRSS int64 // bytes
}

// Maker is a program that makes torrents.
type Maker struct {
	Name    string
	Formats Format
	find    func() (string, error)
	command func(r MakeRequest) (path string, args []string, err error)
}

// Makers are the foreign programs that make torrents.
func Makers() []*Maker {
	return []*Maker{
		{Name: "mktorrent", Formats: V1, find: func() (string, error) { return installed("mktorrent", "-h") }, command: mktorrent},
		{Name: "transmission-create", Formats: V1, find: func() (string, error) { return installed("transmission-create", "--version") },
			command: transmissionCreate},
		{Name: "libtorrent", Formats: V1 | V2 | Hybrid, find: Libtorrent().find, command: libtorrentCreate},
	}
}

// Find looks whether the maker is installed.
func (m *Maker) Find() (version string, err error) {
	v, err := m.find()
	if err != nil {
		return "", fmt.Errorf("clients: %s: %w", m.Name, err)
	}
	return v, nil
}

// Make makes a torrent.
func (m *Maker) Make(ctx context.Context, r MakeRequest) (Made, error) {
	var made Made
	path, args, err := m.command(r)
	if err != nil {
		return made, err
	}
	if r.Out != "" {
		if err := os.Remove(r.Out); err != nil && !os.IsNotExist(err) {
			return made, err
		}
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = environment(os.TempDir())
	out, err := cmd.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			err = fmt.Errorf("%w: %.600s%.600s", err, e.Stderr, out)
		}
		return made, fmt.Errorf("clients: %s: %w", m.Name, err)
	}
	made.Wall = time.Since(began).Seconds()
	made.Seconds = made.Wall
	if m.Name == "libtorrent" {
		if err := json.Unmarshal(out, &made); err != nil {
			return made, fmt.Errorf("clients: %s: %w", m.Name, err)
		}
	}
	made.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	made.PeakRSS = maxRSS(cmd.ProcessState)
	return made, nil
}

func mktorrent(r MakeRequest) (string, []string, error) {
	args := []string{"-l", strconv.Itoa(bits.Len(uint(r.Piece)) - 1), "-t", strconv.Itoa(runtime.NumCPU()), "-o", r.Out}
	if r.Tracker != "" {
		args = append(args, "-a", r.Tracker)
	}
	return "mktorrent", append(args, r.Path), nil
}

func transmissionCreate(r MakeRequest) (string, []string, error) {
	args := []string{"-s", strconv.Itoa(r.Piece >> 10), "-o", r.Out}
	if r.Tracker != "" {
		args = append(args, "-t", r.Tracker)
	}
	return "transmission-create", append(args, r.Path), nil
}

func libtorrentCreate(r MakeRequest) (string, []string, error) {
	py, err := python()
	if err != nil {
		return "", nil, err
	}
	arg, err := json.Marshal(map[string]any{"path": r.Path, "format": r.Format.String(), "piece": r.Piece, "out": r.Out,
		"tracker": r.Tracker})
	return py[0], []string{"-c", libtorrentMake, string(arg)}, err
}

// MakeWithShoal publishes a path in a new home and stops. Seconds are shoal's own
// count of the creation; CPU and memory are the whole process's until its line.
func MakeWithShoal(ctx context.Context, l *Lab, r MakeRequest) (made Made, shared Shared, err error) {
	began := time.Now()
	n, shared, err := ShareWithShoal(ctx, l, r.Path, "", "--format", r.Format.String(), "--piece-size", strconv.Itoa(r.Piece))
	if err != nil {
		return made, shared, err
	}
	wall := time.Since(began).Seconds()
	u := n.Process.Sample()
	n.Process.Stop()
	return Made{Wall: wall, Seconds: shared.Seconds, V1: shared.V1, V2: shared.V2, Magnet: shared.Link, Pieces: shared.Pieces, CPU: u.CPU(), PeakRSS: u.PeakRSS},
		shared, nil
}

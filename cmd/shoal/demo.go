package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/door/api"
	"shoal/internal/door/cli"
	"shoal/internal/node"
)

// Demo implements cli.Program: one node shares, the others fetch from it and from
// each other, all in this process, on loopback, in a temporary folder that is
// removed at the end. Then every byte is compared.
func (p *program) Demo(ctx context.Context, o cli.DemoOptions) (cli.DemoReport, error) {
	dir, err := os.MkdirTemp("", "shoal-demo-")
	if err != nil {
		return cli.DemoReport{}, err
	}
	d := &demo{program: p, options: o, dir: dir}
	r, err := d.run(ctx)
	err = errors.Join(err, d.close(ctx))
	if api.KindOf(err) == api.DiskFull {
		err = api.Errorf(api.DiskFull, dir, "there is not enough space here for a copy for each peer").Try("set TMPDIR to a folder on another disk")
	}
	return r, err
}

// demo is one run.
type demo struct {
	program *program
	options cli.DemoOptions
	dir     string
	nodes   []cli.Node
	clients []*api.Client

	mu    sync.Mutex
	peers []cli.DemoPeer
}

func (d *demo) run(ctx context.Context) (cli.DemoReport, error) {
	path, err := d.source()
	if err != nil {
		return cli.DemoReport{}, err
	}
	for i := range d.options.Peers + 1 {
		if err := d.start(ctx, i); err != nil {
			return cli.DemoReport{}, err
		}
	}
	seed := d.nodes[0].Ready()
	d.options.Say(fmt.Sprintf("%d nodes on loopback; API of the first: %s (token in %s)", len(d.nodes), seed.API, filepath.Join(seed.Home, "api.token")))
	made, err := d.clients[0].Publish(ctx, api.CreateRequest{Path: path}, nil)
	if err != nil {
		return cli.DemoReport{}, err
	}
	began := time.Now()
	if err := d.fetch(ctx, made); err != nil {
		return cli.DemoReport{}, err
	}
	r := cli.DemoReport{Event: "demo", Link: made.Link, Path: path, Bytes: made.Bytes, Files: made.Files, Pieces: made.Pieces,
		Hashing: made.Seconds, Seconds: time.Since(began).Seconds(), Equal: true}
	sh, err := d.clients[0].Share(ctx, made.InfoHash)
	if err != nil {
		return r, err
	}
	r.Seed = sh.Uploaded
	original, err := d.originals(ctx, made.InfoHash)
	if err != nil {
		return r, err
	}
	for i := range d.peers {
		d.peers[i].Equal, err = sameTree(ctx, path, filepath.Join(d.folder(i+1), made.Name), original)
		if err != nil {
			return r, err
		}
		r.Equal = r.Equal && d.peers[i].Equal
	}
	r.Peers = d.peers
	return r, nil
}

// originals tells the names that files have at the first node from those that were made
// safe, where they differ.
func (d *demo) originals(ctx context.Context, id string) (map[string]string, error) {
	b, err := d.clients[0].Torrent(ctx, id)
	if err != nil {
		return nil, err
	}
	m, err := metainfo.Parse(b)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, f := range m.Info.Files {
		if f.Raw != "" {
			names[filepath.Join(f.Path...)] = filepath.Join(f.RawPath()...)
		}
	}
	return names, nil
}

// source is the path to share: the person's, or a folder of 64 MiB in files of
// odd sizes, the same in every run.
func (d *demo) source() (string, error) {
	if d.options.Path != "" {
		abs, err := filepath.Abs(d.options.Path)
		if err == nil {
			_, err = os.Stat(abs)
		}
		return abs, err
	}
	root := filepath.Join(d.dir, "demo")
	seed := [32]byte{'s', 'h', 'o', 'a', 'l'}
	rng := rand.NewChaCha8(seed)
	for _, f := range []struct {
		name string
		size int
	}{{"video.bin", 48 << 20}, {"music/one.bin", 9<<20 + 1}, {"music/two.bin", 7<<20 - 17}, {"letters/short.bin", 12}, {"letters/empty.bin", 0}} {
		file := filepath.Join(root, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return "", err
		}
		b := make([]byte, f.size)
		rng.Read(b)
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return "", err
		}
	}
	return root, nil
}

func (d *demo) folder(i int) string { return filepath.Join(d.dir, fmt.Sprintf("peer%d", i)) }

// start runs node i; the first one shares and opens the API.
func (d *demo) start(ctx context.Context, i int) error {
	home := filepath.Join(d.dir, fmt.Sprintf("home%d", i))
	// What a demo writes is gone in a minute: it needs no reserve.
	err := errors.Join(os.Mkdir(home, 0o700), os.WriteFile(filepath.Join(home, node.ConfigFile), []byte("[disk]\nreserve = \"0\"\n"), 0o600))
	if err != nil {
		return err
	}
	o := cli.StartOptions{Home: home, Scope: "loopback", Port: 0, APIPort: d.options.APIPort, Quiet: true, OpenAPI: i == 0}
	n, err := d.program.Start(ctx, o)
	if err != nil {
		return err
	}
	d.nodes, d.clients = append(d.nodes, n), append(d.clients, n.Client())
	return nil
}

// fetch lets every other node fetch at the same time. Each is told of the first
// node; of each other they learn by peer exchange, and from the list we give.
func (d *demo) fetch(ctx context.Context, made api.Created) error {
	d.peers = make([]cli.DemoPeer, d.options.Peers)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range d.peers {
		d.peers[i] = cli.DemoPeer{Name: fmt.Sprintf("peer %d", i+1), Total: made.Bytes}
		wg.Go(func() {
			if err := d.fetchOne(ctx, i, made); err != nil {
				cancel(fmt.Errorf("peer %d: %w", i+1, err))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// errComplete ends the watch of a download that is done.
var errComplete = errors.New("complete")

func (d *demo) fetchOne(ctx context.Context, i int, made api.Created) error {
	folder := d.folder(i + 1)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var addrs []string
	for j, n := range d.nodes {
		if listen := n.Ready().Listen; j != i+1 && len(listen) > 0 {
			addrs = append(addrs, listen[0])
		}
	}
	sh, err := d.clients[i+1].Add(ctx, api.AddRequest{Link: made.Link, Dir: folder, Peers: addrs})
	if err != nil {
		return err
	}
	err = d.clients[i+1].Watch(ctx, api.Filter{Share: sh.InfoHash, Progress: 200 * time.Millisecond}, func(e api.Event) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		peer := &d.peers[i]
		switch e := e.(type) {
		case *api.ProgressEvent:
			peer.Bytes, peer.Rate = e.Bytes, e.DownRate
		case *api.ShareEvent:
			if e.Share.State == api.StateFailed {
				return api.Errorf(e.Share.Code, e.Share.Name, "%s", e.Share.Problem)
			}
		case *api.Done:
			peer.Bytes, peer.Rate, peer.Seconds, peer.Wasted, peer.Sources = e.Bytes, 0, e.Seconds, e.Wasted, len(e.Peers)
			return errComplete
		}
		d.options.Show(d.peers)
		return nil
	})
	switch {
	case errors.Is(err, errComplete):
		return nil
	case err == nil && ctx.Err() == nil:
		return api.Errorf(api.Unavailable, "", "its node stopped")
	case err == nil:
		return context.Cause(ctx)
	}
	return err
}

// close stops the nodes, all at once, and removes what the demo made.
func (d *demo) close(ctx context.Context) error {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	errs := make([]error, len(d.nodes))
	var wg sync.WaitGroup
	for i, n := range d.nodes {
		wg.Go(func() {
			d.clients[i].Close()
			errs[i] = n.Close(end)
		})
	}
	wg.Wait()
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}

// sameTree compares a file or folder with another, byte by byte: every regular
// file of the first must be in the second, and nothing else may be there. original has the
// names of the first that are others in the second.
func sameTree(ctx context.Context, a, b string, original map[string]string) (bool, error) {
	files := map[string]bool{}
	if err := eachFile(a, func(rel string) error { files[rel] = true; return nil }); err != nil {
		return false, err
	}
	equal := true
	err := eachFile(b, func(rel string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := cmp.Or(original[rel], rel)
		if !files[from] {
			equal = false
			return nil
		}
		delete(files, from)
		same, err := sameFile(filepath.Join(a, from), filepath.Join(b, rel))
		equal = equal && same
		return err
	})
	return equal && len(files) == 0, err
}

// eachFile visits the regular files beneath a path, or the path itself.
func eachFile(root string, visit func(rel string) error) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return visit(rel)
	})
}

func sameFile(a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	bufA, bufB := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		n, errA := io.ReadFull(fa, bufA)
		m, errB := io.ReadFull(fb, bufB)
		if n != m || !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		endA, endB := errA == io.EOF || errA == io.ErrUnexpectedEOF, errB == io.EOF || errB == io.ErrUnexpectedEOF
		switch {
		case endA && endB:
			return true, nil
		case errA != nil && !endA:
			return false, errA
		case errB != nil && !endB:
			return false, errB
		}
	}
}

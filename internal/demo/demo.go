package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// Options are what a demo is asked for, and how it tells what happens.
type Options struct {
	Path    string // file or folder to share; "": the sources of Go's tools, or a folder that is made
	Peers   int    // nodes that fetch
	APIPort int    // of the first node; 0: any free one
	Keep    bool   // leave the homes, and what was fetched, where they are

	Program string       // the executable that every node is
	Print   func(v any)  // one JSON object; nil: the figures are for people
	Screen  *term.Screen // the story, and the live table on a terminal
	Stdout  io.Writer    // the figures
}

// Run plays the story. It is nil only if all nodes that fetch had every byte, and the same
// bytes, also those that went on when the first node was killed.
func Run(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "shoal-demo-")
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	d := &demo{Options: o, dir: dir, keeper: newKeeper(), fail: fail}
	err = d.play(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // what was under way failed for that reason
	}
	err = errors.Join(err, d.close(ctx))
	if api.KindOf(err) == api.DiskFull {
		err = api.Errorf(api.DiskFull, dir, "there is not enough space here for a copy for each peer").Try("set TMPDIR to a folder on another disk")
	}
	return err
}

// demo is one run.
type demo struct {
	Options
	dir    string
	keeper *keeper
	nodes  []*node // the first one shares
	fail   context.CancelCauseFunc
	report Report
}

func (d *demo) say(format string, args ...any) { d.Screen.Say(format, args...) }

// print tells one object, where objects are wanted.
func (d *demo) print(v any) {
	if d.Print != nil {
		d.Print(v)
	}
}

// play is the story, an act a line.
func (d *demo) play(ctx context.Context) error {
	src, err := d.source(ctx)
	if err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	group, err := d.join(ctx)
	if err != nil {
		return err
	}
	s, err := d.share(ctx, src, group)
	if err != nil {
		return err
	}
	if err := d.fetch(ctx, s); err != nil {
		return err
	}
	if err := d.compare(ctx, s); err != nil {
		return err
	}
	d.tell()
	if !d.report.Equal {
		return api.Errorf(api.BadData, src.path, "what arrived is not what was shared")
	}
	return nil
}

// shared is the share as the first node made it.
type shared struct {
	api.Created
	names map[string]string // of its files that are called otherwise in a copy: there → here
}

// share has the first node offer what is shown, to the members of the group alone.
func (d *demo) share(ctx context.Context, src source, group api.Group) (shared, error) {
	n := d.nodes[0]
	made, err := n.client.Publish(ctx, api.CreateRequest{Path: src.path, Groups: []string{group.ID}}, nil)
	if err != nil {
		return shared{}, err
	}
	if made.NoLink {
		return shared{}, api.Errorf(api.Invalid, src.path, "it holds so many files that a link is not enough to fetch it").Try("choose a smaller folder")
	}
	s := shared{Created: made}
	if s.names, err = renamed(ctx, n.client, made.InfoHash); err != nil {
		return shared{}, err
	}
	d.report.Link, d.report.InfoHash, d.report.Path = made.Link, made.InfoHash, src.path
	d.report.Bytes, d.report.Files, d.report.Pieces, d.report.Hashing = made.Bytes, made.Files, made.Pieces, made.Seconds
	d.say("%s shares %s%s for the members of %s alone: %s in %s, %s, hashed in %.2f s", n.name, api.Safe(src.path), src.why, group.Name,
		api.FormatSize(made.Bytes), term.Count(made.Files, "file"), term.Count(made.Pieces, "piece"), made.Seconds)
	d.say("  %s", made.Link)
	d.print(SharedEvent{Event: "shared", Node: n.name, Link: made.Link, InfoHash: made.InfoHash, Path: src.path,
		Bytes: made.Bytes, Files: made.Files, Pieces: made.Pieces, Seconds: made.Seconds})
	return s, nil
}

// close ends every node, and removes what the demo made or says where it is.
func (d *demo) close(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, n := range d.nodes {
		wg.Go(func() {
			patience := time.Duration(0)
			if d.Keep {
				patience = 8 * time.Second // a home that is kept is left in order
			}
			if ctx.Err() != nil {
				patience = min(patience, 2*time.Second)
			}
			n.end(patience)
		})
	}
	wg.Wait()
	d.keeper.close()
	if !d.Keep {
		return removeAll(d.dir)
	}
	d.say("kept in %s: the home of each node, what it fetched and what it logged", d.dir)
	if len(d.nodes) > 2 {
		d.say("look at one: shoal --home %s status (or ls, group show %s, peers, up)", shell(d.nodes[2].home), groupName)
	}
	return nil
}

// shell quotes a path for a command line, where that is needed.
func shell(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return strings.ContainsRune(" \t'\"\\$&;()<>|*?[]#~`!", r) }) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// removeAll removes a folder, its sub-folders at the same time: thousands of files take a while.
func removeAll(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, e := range list {
		wg.Go(func() { os.RemoveAll(filepath.Join(dir, e.Name())) }) // what it leaves fails below
	}
	wg.Wait()
	return os.RemoveAll(dir)
}

// names lists nodes: "node3, node4 and node5".
func names(nodes []*node) string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.name)
	}
	switch len(list) {
	case 0, 1:
		return strings.Join(list, "")
	case 2, 3, 4:
		return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
	}
	return fmt.Sprintf("%s to %s", list[0], list[len(list)-1])
}

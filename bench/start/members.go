//go:build linux

package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"shoal/bench/clients"
	"shoal/bench/measure"
)

// members has a member of a group fetch what another shares: with its node running, and so
// connected, and as a program that must connect first.
func (b *bench) members(ctx context.Context, l *clients.Lab, number int) error {
	file := filepath.Join(l.Root(), "src", "file.bin")
	if err := measure.WriteFile(file, "members", 64<<20); err != nil {
		return err
	}
	founder, err := clients.NewShoalNode(l)
	if err != nil {
		return err
	}
	g, err := clients.NewGroup(ctx, founder, "start")
	if err != nil {
		return err
	}
	shared, err := g.Share(ctx, g.Members[0], file)
	if err != nil {
		return err
	}
	joiner, err := clients.NewShoalNode(l)
	if err != nil {
		return err
	}
	m, err := g.Join(ctx, joiner)
	if err != nil {
		return err
	}
	if err := b.toDisk(ctx, l, joiner, "get LINK of a group, node runs, start to first byte", shared.Link, number); err != nil {
		return err
	}
	if _, code, err := joiner.Do(ctx, "rm", shared.Hash(), "--data"); err != nil || code != 0 {
		return fmt.Errorf("rm: exit %d: %w", code, err)
	}
	m.Up.Stop()
	return b.toDisk(ctx, l, joiner, "get LINK of a group, start to first byte", shared.Link, number)
}

// toDisk fetches a share and looks when the first of it has come.
func (b *bench) toDisk(ctx context.Context, l *clients.Lab, node *clients.ShoalNode, what, link string, number int) error {
	dir, err := l.Folder("dst")
	if err != nil {
		return err
	}
	began := time.Now()
	p, err := node.Run("get", link, "-o", dir)
	if err != nil {
		return err
	}
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for !hasData(dir) {
		select {
		case <-tick.C:
		case <-p.Ended():
			return fmt.Errorf("%s: get ended before anything came: %s", what, p.Tail(600))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	first := time.Since(began)
	if code, err := p.Wait(ctx); err != nil || code != 0 {
		return fmt.Errorf("%s: exit %d: %w: %s", what, code, err, p.Tail(600))
	}
	return b.note(what, number, ms(first), "ms")
}

// hasData tells that a file in a folder has bytes of its own, not holes alone.
func hasData(dir string) bool {
	found := false
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // renamed meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		found = found || ok && st.Blocks > 0
		return nil
	})
	return found
}

package catalog

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"shoal/internal/adapter/store/disk"
)

func saved(t *testing.T, c *Catalog) map[string]int64 {
	t.Helper()
	rows, err := c.Shares()
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]int64)
	for _, r := range rows {
		m[r.ID] = r.Uploaded
	}
	return m
}

// What is put while the database is busy neither waits nor is lost; what is forgotten does
// not come back; what could not be written is written with the next, unless it is old by then.
func TestSaver(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "shoal.db"))
	var told error
	v := NewSaver(c, func(err error) { told = err })
	res := &Resume{Boot: "b"}
	tx, err := c.db.Begin() // the only connection
	if err != nil {
		t.Fatal(err)
	}
	flushed := make(chan struct{})
	go func() { defer close(flushed); v.Now(Row{ID: "a", Uploaded: 1}, res) }()
	for c.db.Stats().WaitCount == 0 {
		runtime.Gosched()
	}
	v.Put(Row{ID: "a", Uploaded: 2}, res)
	v.Put(Row{ID: "gone", Uploaded: 3}, res)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	<-flushed
	v.Forget("gone")
	v.flush()
	if got := saved(t, c); len(got) != 1 || got["a"] != 2 {
		t.Errorf("kept %v", got)
	}
	if told != nil {
		t.Error(told)
	}
}

func TestSaverTriesAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shoal.db")
	c := open(t, path)
	var told error
	v := NewSaver(c, func(err error) { told = err })
	c.Close()
	v.Now(Row{ID: "a", Uploaded: 1}, &Resume{})
	if !errors.Is(told, disk.ErrClosed) {
		t.Errorf("told %v", told)
	}
	v.catalog = open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v.Run(ctx)
	if got := saved(t, v.catalog); got["a"] != 1 {
		t.Errorf("kept %v", got)
	}
}

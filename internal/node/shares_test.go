package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shoal/internal/door/api"
)

// TestShareAgain: the very same once more is no error; a tracker that the share does not have
// is, for the link would name one that nobody asks.
func TestShareAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, openHome(t), nil)
	create := func(trackers ...string) (api.Created, error) {
		return n.Create(t.Context(), api.CreateRequest{Path: path, Trackers: trackers}, func(api.Progress) {})
	}
	const one, other = "http://127.0.0.1:1/announce", "http://127.0.0.1:2/announce"
	if c, err := create(one); err != nil || c.Existed {
		t.Fatalf("%+v %v", c, err)
	}
	for _, trackers := range [][]string{{one}, nil} {
		if c, err := create(trackers...); err != nil || !c.Existed {
			t.Errorf("with %q: %+v %v", trackers, c, err)
		}
	}
	if _, err := create(one, other); api.KindOf(err) != api.Exists {
		t.Errorf("another tracker: %v", err)
	}
}

// TestTooManyFilesForALink: peers fetch descriptions of up to 16 MiB (BEP 9). Who shares more
// than fits is told that the link alone will not do.
func TestTooManyFilesForALink(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	long := strings.Repeat("x", 250)
	deep := filepath.Join(dir, long, long) // v1 names the folders with each file
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 14_500 { // a hybrid names each file twice
		if err := os.WriteFile(filepath.Join(deep, fmt.Sprintf("%0250d", i)), []byte{1}, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := startNode(t, openHome(t), nil)
	for format, want := range map[string]bool{"v1": false, "hybrid": true} {
		c, err := n.Create(t.Context(), api.CreateRequest{Path: dir, Format: format}, func(api.Progress) {})
		if err != nil || c.NoLink != want {
			t.Errorf("%s of %d files: no link %v, %v", format, c.Files, c.NoLink, err)
		}
	}
}

// TestOriginalsGone: the doctor names a share whose files are not there any more.
func TestOriginalsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.txt")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, openHome(t), nil)
	if _, err := n.Create(t.Context(), api.CreateRequest{Path: path}, func(api.Progress) {}); err != nil {
		t.Fatal(err)
	}
	if f := verdicts(t, n)["shares"]; f.Verdict != api.VerdictOK {
		t.Errorf("%+v", f)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if f := verdicts(t, n)["shares"]; f.Verdict != api.VerdictWarn || !strings.HasPrefix(f.What, "own.txt: ") {
		t.Errorf("%+v", f)
	}
}

// TestNothingToShare: what cannot be shared is said in words for people.
func TestNothingToShare(t *testing.T) {
	n := startNode(t, openHome(t), nil)
	_, err := n.Create(t.Context(), api.CreateRequest{Path: t.TempDir()}, func(api.Progress) {})
	if e := api.AsError(err); api.KindOf(err) != api.BadData || !strings.HasPrefix(e.Reason, "it holds no data") {
		t.Errorf("%v", err)
	}
}

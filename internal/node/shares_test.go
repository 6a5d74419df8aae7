package node

import (
	"os"
	"path/filepath"
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

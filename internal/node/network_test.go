package node

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A group whose file is damaged is named at the start, and stops nothing (docs/formats/group.md).
func TestDamagedGroupIsNamed(t *testing.T) {
	for _, offline := range []bool{false, true} {
		h := openHome(t)
		path := filepath.Join(h.Path(GroupsFolder), strings.Repeat("ab", 32))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("no group"), 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		startNode(t, h, func(o *Options) {
			o.Offline = offline
			o.Log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelError}))
		})
		if !strings.Contains(said.String(), path) {
			t.Errorf("offline %t: it says %q", offline, said.String())
		}
	}
}

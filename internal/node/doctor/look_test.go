package doctor

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/door/api"
)

func place(dir string) Place {
	return Place{Dir: dir, Key: filepath.Join(dir, "node.key"), Reserve: func(int64) int64 { return 0 }, Want: 100}
}

func TestLook(t *testing.T) {
	dir := t.TempDir()
	var seed [ident.SeedSize]byte
	if _, err := rand.Read(seed[:]); err != nil {
		t.Fatal(err)
	}
	key := ident.NewKey(seed)
	if err := os.WriteFile(filepath.Join(dir, "node.key"), key.File(), 0o600); err != nil {
		t.Fatal(err)
	}
	f := Look(t.Context(), place(dir))
	if f.Key.Missing || f.Key.Damaged || f.Key.Err != "" || f.Disk.Err != "" || f.Disk.Write <= 0 || f.Disk.Total <= 0 || f.Files.Want != 100 {
		t.Errorf("%+v", f)
	}
	if runtime.GOOS == "linux" && (f.Files.Limit == 0 || f.Files.Open < 3 || f.Disk.Read <= 0) {
		t.Errorf("%+v", f)
	}
	if age := time.Since(f.Clock.Latest); age < 0 || age > time.Hour {
		t.Errorf("the youngest file is %v old", age)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("it left %v, %v", names, err)
	}
}

// TestLookAtWhatIsWrong: what cannot be used is a finding and no failure.
func TestLookAtWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.key")
	verdict := func(check string) api.Verdict {
		return finding(t, Judge(Look(t.Context(), place(dir))), check).Verdict
	}
	if got := verdict("key"); got != api.VerdictOK {
		t.Errorf("no key yet: %s", got)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := verdict("key"); got != api.VerdictBad {
		t.Errorf("nonsense: %s", got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if k := lookKey(path); runtime.GOOS != "windows" && k.Mode.Perm() != 0o644 {
		t.Errorf("mode %v", k.Mode)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := verdict("key"); got != api.VerdictBad {
		t.Errorf("a folder: %s", got)
	}
	if err := os.Mkdir(filepath.Join(dir, measureName), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := verdict("disk"); got != api.VerdictBad {
		t.Errorf("no file can be written: %s", got)
	}
	ahead := time.Now().Add(48 * time.Hour)
	if err := os.Chtimes(path, ahead, ahead); err != nil {
		t.Fatal(err)
	}
	if got := verdict("clock"); got != api.VerdictWarn {
		t.Errorf("a file of the day after tomorrow: %s", got)
	}
	gone := Look(t.Context(), place(filepath.Join(dir, "none")))
	if !gone.Key.Missing || gone.Disk.Err != "" || gone.Disk.Total <= 0 {
		t.Errorf("no home yet: %+v", gone)
	}
}

func TestLookStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	f := Look(ctx, place(dir))
	if names, _ := os.ReadDir(dir); len(names) > 0 || f.Disk.Err != "" {
		t.Errorf("%v %+v", names, f.Disk)
	}
}

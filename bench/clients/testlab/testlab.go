//go:build linux

package testlab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shoal/bench/clients"
)

// New gives a test its lab. It ends with the test; the logs of a failed one stay.
func New(t testing.TB) *clients.Lab {
	t.Helper()
	l, err := clients.NewLab(filepath.Join(os.TempDir(), "shoal-tests"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Stop()
		if t.Failed() {
			t.Logf("logs are in %s", l.Root())
			return
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Deadline bounds a test.
func Deadline(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// Need skips a test that lacks something, for the reason given, or fails it where
// SHOAL_REQUIRE_PEERS=1 says that nothing may be missing.
func Need(t testing.TB, missing error) {
	t.Helper()
	if missing == nil {
		return
	}
	if os.Getenv("SHOAL_REQUIRE_PEERS") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// Answer reads what a node's API answered: JSON into v, or all of it where v is a *string.
// Every status is an error but those of success and 503, with which health answers.
func Answer(res *http.Response, v any) error {
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 && res.StatusCode != http.StatusServiceUnavailable {
		return fmt.Errorf("%s: %s", res.Status, b)
	}
	if s, ok := v.(*string); ok {
		*s = string(b)
		return nil
	}
	return json.Unmarshal(b, v)
}

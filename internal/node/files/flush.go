package files

import (
	"context"
	"time"

	"shoal/internal/adapter/store"
)

// Both is what both bitmaps have; the length of the second.
func Both(a, b []byte) []byte {
	out := make([]byte, len(b))
	for i := range out {
		if i < len(a) {
			out[i] = a[i] & b[i]
		}
	}
	return out
}

// LastSync flushes the files, for as long as a clean end may take; the system writes out
// what is left then, and the next start checks it after a crash.
func LastSync(content *store.Content, limit time.Duration) (err error, ended bool) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- content.Sync(ctx) }()
	select {
	case err = <-result:
	case <-ctx.Done():
		return nil, false
	}
	if ctx.Err() != nil {
		return nil, false
	}
	return err, true
}

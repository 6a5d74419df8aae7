package announce

import (
	"context"
	"sync"

	"shoal/internal/adapter/tracker"
)

// atOnce bounds how many trackers are told goodbye at a time.
const atOnce = 32

// Goodbye is one tracker that knows of a share that goes.
type Goodbye struct {
	URL       string
	TrackerID string // of its last answer
	Facts     Facts
}

// Farewell tells trackers `stopped`, as far as ctx leaves time. What they answer does not
// matter: nobody is left to tell.
func Farewell(ctx context.Context, c Client, list []Goodbye) {
	places := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range list {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return
		}
		wg.Add(1)
		go func() {
			defer func() { <-places; wg.Done() }()
			list[i].say(ctx, c)
		}()
	}
	wg.Wait()
}

func (g *Goodbye) say(ctx context.Context, c Client) {
	r := g.Facts.request(tracker.Stopped)
	r.TrackerID, r.NumWant = g.TrackerID, -1
	for _, n := range g.Facts.Names {
		r.InfoHash = n
		_, _ = c.Announce(ctx, g.URL, r)
	}
}

// goodbye tells the trackers that know of us that we go.
func (a *Announcer) goodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), StoppedTime)
	defer cancel()
	Farewell(ctx, a.desk.client, a.Goodbyes(*a.last))
}

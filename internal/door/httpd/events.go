package httpd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"shoal/internal/door/api"
)

// stream writes server-sent events (the WHATWG HTML standard, §9.2) to one client.
type stream struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
	buf bytes.Buffer
}

// newStream begins the answer.
func newStream(w http.ResponseWriter) *stream {
	s := &stream{w: w, ctl: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	s.ctl.SetReadDeadline(time.Time{})
	w.WriteHeader(http.StatusOK)
	return s
}

// send writes one event. A client that does not take it within writeTimeout is
// given up.
func (s *stream) send(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("httpd: event %s: %w", name, err)
	}
	s.buf.Reset()
	fmt.Fprintf(&s.buf, "event: %s\ndata: %s\n\n", name, data)
	return s.flush()
}

// beat writes a comment, so that a dead connection is noticed.
func (s *stream) beat() error {
	s.buf.Reset()
	s.buf.WriteString(":\n\n")
	return s.flush()
}

func (s *stream) flush() error {
	s.ctl.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	return s.ctl.Flush()
}

// long runs a call that takes a while. A caller that accepts events gets
// `hashing` events and then `result` or `problem`; any other gets the result
// alone. The caller's going away interrupts the call.
func (s *Server) long(c *call, run func(context.Context, func(api.Progress)) (any, error)) (any, error) {
	c.ctl().SetReadDeadline(time.Time{})
	if !strings.Contains(c.r.Header.Get("Accept"), "text/event-stream") {
		return run(c.r.Context(), func(api.Progress) {})
	}
	var latest latestProgress
	latest.wake = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	var result any
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		result, failed = run(ctx, latest.set)
	}()
	out := newStream(c.w)
	if err := s.follow(out, &latest, done); err != nil {
		cancel()
		<-done
		return nil, errAnswered
	}
	if failed != nil {
		out.send(api.EventProblem, api.ProblemOf(failed))
	} else {
		out.send(api.EventResult, result)
	}
	return nil, errAnswered
}

// progressEvery is the least time between two events of progress.
const progressEvery = 200 * time.Millisecond

// follow sends progress, at most five times a second, until the call is done, and then
// what was told last.
func (s *Server) follow(out *stream, latest *latestProgress, done <-chan struct{}) error {
	beat := time.NewTicker(keepAlive)
	defer beat.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	var wake <-chan struct{}
	for {
		select {
		case <-done:
			select {
			case <-latest.wake:
				return latest.send(out)
			default:
				return nil
			}
		case <-pause.C:
			wake = latest.wake
		case <-wake:
			wake = nil
			pause.Reset(progressEvery)
			if err := latest.send(out); err != nil {
				return err
			}
		case <-beat.C:
			if err := out.beat(); err != nil {
				return err
			}
		}
	}
}

// latestProgress keeps the last progress only: who is slow skips some.
type latestProgress struct {
	mu   sync.Mutex
	p    api.Progress
	wake chan struct{}
}

func (l *latestProgress) set(p api.Progress) {
	l.mu.Lock()
	l.p = p
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *latestProgress) send(out *stream) error {
	l.mu.Lock()
	p := l.p
	l.mu.Unlock()
	return out.send(api.EventHashing, &api.Hashing{Head: api.Head{Event: api.EventHashing}, Progress: p})
}

func (c *call) ctl() *http.ResponseController { return http.NewResponseController(c.w) }

// events streams what happens until the client goes or the server closes.
func (s *Server) events(c *call) (any, error) {
	every, err := progressParam(c.r.URL.Query().Get("progress"))
	if err != nil {
		return nil, err
	}
	l := &listener{s: s, ctx: c.r.Context()}
	l.sub = s.node.Events.Subscribe(eventQueue) // before the snapshot, so that nothing falls between
	defer l.sub.Close()
	var now *api.Share
	if x := c.r.URL.Query().Get("share"); x != "" {
		if l.id, err = s.find(l.ctx, x); err != nil {
			return nil, err
		}
		sh, err := s.node.Shares.Share(l.ctx, l.id)
		if err != nil {
			return nil, err
		}
		now = &sh
	}
	l.out = newStream(c.w)
	if err := l.begin(now); err == nil {
		l.run(every)
	}
	return nil, errAnswered
}

// progressParam reads the interval of progress; 0 for none.
func progressParam(v string) (time.Duration, error) {
	if v == "" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0.1 && f <= 60) {
		return 0, api.Errorf(api.Invalid, "progress", "it must be seconds from 0.1 to 60")
	}
	return time.Duration(f * float64(time.Second)), nil
}

// listener is one client of the event stream.
type listener struct {
	s    *Server
	ctx  context.Context
	out  *stream
	sub  *api.Subscription
	id   string // of the one share it wants to hear of; "": everything
	done bool   // its `done` was sent
	last map[string]api.ProgressEvent
}

// begin sends how the share is now, and its result if it has one already.
func (l *listener) begin(now *api.Share) error {
	l.last = map[string]api.ProgressEvent{}
	if now == nil {
		return l.out.beat() // the header goes out, the client knows it is listened to
	}
	result := now.Result
	if err := l.out.send(api.EventShare, &api.ShareEvent{Head: api.Head{Event: api.EventShare, InfoHash: l.id}, Share: *now}); err != nil {
		return err
	}
	if result != nil {
		return l.event(result)
	}
	return nil
}

// run sends events, progress and signs of life.
func (l *listener) run(every time.Duration) {
	beat := time.NewTicker(keepAlive)
	defer beat.Stop()
	var tick <-chan time.Time
	if every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	for {
		var err error
		select {
		case <-l.ctx.Done():
			return
		case e, ok := <-l.sub.C():
			if !ok {
				return
			}
			err = l.event(e)
		case <-tick:
			err = l.progress()
		case <-beat.C:
			err = l.out.beat()
		}
		if err != nil {
			return
		}
	}
}

// event passes one event on, if it is about what the client wants to hear of.
func (l *listener) event(e api.Event) error {
	if n := l.sub.Missed(); n > 0 {
		if err := l.out.send(api.EventMissed, &api.Missed{Head: api.Head{Event: api.EventMissed}, Count: n}); err != nil {
			return err
		}
	}
	h := api.HeadOf(e)
	if l.id != "" && h.InfoHash != l.id && !l.renamed(h.InfoHash) {
		return nil
	}
	if h.Event == api.EventDone && l.id != "" {
		if l.done {
			return nil
		}
		l.done = true
	}
	return l.out.send(h.Event, e)
}

// renamed says whether the wanted share goes by this id now: a link that knew the v1
// hash of a hybrid alone gets the v2 hash with its description.
func (l *listener) renamed(id string) bool {
	if len(id) <= len(l.id) {
		return false
	}
	sh, err := l.s.node.Shares.Share(l.ctx, l.id)
	if err != nil || sh.InfoHash != id {
		return false
	}
	l.id = id
	return true
}

// progress sends how far the wanted share is, or every share that is under way;
// nothing where nothing has changed.
func (l *listener) progress() error {
	shares, err := l.underWay()
	if err != nil {
		return nil // removed meanwhile: its event says so
	}
	for _, sh := range shares {
		p := api.ProgressOf(sh)
		if l.last[sh.InfoHash] == *p {
			continue
		}
		l.last[sh.InfoHash] = *p
		if err := l.out.send(api.EventProgress, p); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) underWay() ([]api.Share, error) {
	if l.id != "" {
		sh, err := l.s.node.Shares.Share(l.ctx, l.id)
		return []api.Share{sh}, err
	}
	all, err := l.s.node.Shares.List(l.ctx)
	if err != nil {
		return nil, err
	}
	var out []api.Share
	for _, sh := range all {
		if _, known := l.last[sh.InfoHash]; known || sh.State == api.StateDownloading || sh.State == api.StateChecking || sh.State == api.StateMetadata || sh.UpRate > 0 {
			out = append(out, sh)
		}
	}
	return out, nil
}

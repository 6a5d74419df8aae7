package cli

import (
	"context"
	"errors"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
	"shoal/internal/door/cli/view"
)

// getFlags are the flags of `get`.
type getFlags struct {
	dir        string
	sel, peers []string
	sequential bool
	seed       bool
	timeout    time.Duration
	limits     limitFlags
}

func (a *app) get() *cobra.Command {
	var f getFlags
	c := a.command(&cobra.Command{
		Use:     "get LINK|FILE.torrent|URL [flags]",
		Short:   "Fetch a share into DIR/NAME",
		GroupID: groupShare,
		Long: "get fetches what a magnet link, a .torrent or the URL of one describes, verifies every byte, and leaves when\n" +
			"all is there. `-` reads a .torrent or a link from standard input. What lies there already is verified and\n" +
			"kept; another file of that name is never overwritten. Interrupted, it goes on where it was when run again.\n" +
			"If a node runs for this home, that node fetches; Ctrl-C then leaves the download going there.",
		Example: "  shoal get 'magnet:?xt=urn:btih:…' -o ~/Downloads\n  shoal get album.torrent --select '*.flac' --sequential",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) error { return a.runGet(ctx, args[0], f) })
	fs := c.Flags()
	fs.StringVarP(&f.dir, "output", "o", ".", "folder `DIR` to write into")
	fs.StringArrayVar(&f.sel, "select", nil, "fetch only files that match `GLOB` (** crosses folders); may be given again")
	fs.StringArrayVar(&f.peers, "peer", nil, "`HOST:PORT` of a peer to try first; may be given again")
	fs.BoolVar(&f.sequential, "sequential", false, "fetch pieces in order")
	fs.BoolVar(&f.seed, "seed", false, "stay and offer it until Ctrl-C when it is complete")
	fs.DurationVar(&f.timeout, "timeout", 0, "give up after `D`, such as 90s or 2h (default: never)")
	f.limits.add(c, "of this share")
	return c
}

// request reads what is wanted and judges the flags.
func (a *app) request(ctx context.Context, what string, f getFlags) (api.AddRequest, error) {
	r := api.AddRequest{Select: f.sel, Peers: f.peers, Sequential: f.sequential, Limits: f.limits.limits()}
	if f.timeout < 0 {
		return r, api.Errorf(api.Invalid, "--timeout", "it must not be negative")
	}
	for _, g := range f.sel {
		if _, err := path.Match(g, ""); err != nil || g == "" {
			return r, api.Errorf(api.Invalid, g, "this is not a pattern").Try("write it like docs/*.pdf or **/*.jpg")
		}
	}
	if err := a.source(ctx, &r, what); err != nil {
		return r, err
	}
	var err error
	if r.Dir, err = absolute(f.dir); err != nil {
		return r, err
	}
	info, err := os.Stat(r.Dir)
	switch {
	case err == nil && !info.IsDir():
		return r, api.Errorf(api.Path, f.dir, "this is not a folder").Try("give -o a folder; the share gets its own name in it")
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(r.Dir, 0o777); err != nil {
			return r, pathError(f.dir, err)
		}
	case err != nil:
		return r, pathError(f.dir, err)
	}
	return r, nil
}

// source says where the description comes from, and judges it as far as it is
// here already.
func (a *app) source(ctx context.Context, r *api.AddRequest, what string) error {
	switch {
	case what == "":
		return api.Errorf(api.Invalid, "", "the link is empty")
	case isLink(what):
		r.Link = what
	case isURL(what):
		r.URL = what
		return nil
	case strings.Contains(what, "://"):
		return api.Errorf(api.Invalid, shorten(what), "a .torrent can be fetched from http and https only")
	case what == "-":
		b, err := a.readStdin(ctx)
		if err != nil {
			return about(err, "standard input")
		}
		if text := strings.TrimSpace(string(b[:min(len(b), api.MaxText)])); isLink(text) {
			r.Link = text
		} else {
			r.Torrent = b
		}
	case isHash(what):
		r.Link = "magnet:?xt=urn:btih:" + what
		if len(what) == 64 {
			r.Link = "magnet:?xt=urn:btmh:1220" + what
		}
	default:
		b, err := readTorrent(what)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) && !strings.HasSuffix(strings.ToLower(what), ".torrent") {
				return api.Errorf(api.Path, shorten(what), "there is no such file, and it is no link").Try("give a magnet link, a .torrent or the URL of one")
			}
			return err
		}
		r.Torrent = b
	}
	var err error
	if r.Link != "" {
		_, err = api.ParseLink(r.Link)
	} else {
		_, err = api.ParseMetainfo(r.Torrent)
	}
	return about(err, what)
}

// readStdin reads a .torrent or a link. Ctrl-C ends it: nothing may ever come.
func (a *app) readStdin(ctx context.Context) ([]byte, error) {
	var b []byte
	var err error
	read := make(chan struct{})
	go func() {
		defer close(read)
		b, err = readBounded(a.Stdin, api.MaxMetainfo)
	}()
	select {
	case <-read:
		return b, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

func (a *app) runGet(ctx context.Context, what string, f getFlags) error {
	r, err := a.request(ctx, what, f)
	if err != nil {
		return err
	}
	limited := ctx
	if f.timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, f.timeout, errTimeout)
		defer cancel()
	}
	if l, err := api.ParseLink(r.Link); err == nil && l.Name != "" {
		what = l.Name // says more than the beginning of a link
	}
	g := &download{app: a, what: what, began: time.Now()}
	for range maxNodes {
		err = a.with(ctx, StartOptions{Quiet: true}, func(ctx context.Context, s *session) error { return g.fetch(ctx, limited, s, r, f.seed) })
		if !errors.Is(err, errNodeGone) {
			return err
		}
		a.out.Say("%s: the node that fetched it has ended; going on without it", api.Safe(g.share.Name))
	}
	return api.Errorf(api.Unavailable, g.share.Name, "one node after the other ended")
}

// maxNodes bounds how many nodes of other processes, all of which end, a get puts up with.
const maxNodes = 16

// errNodeGone says that the node of another process ended while it was fetching.
var errNodeGone = errors.New("the node has ended")

// fetch asks a node for the share and follows it to its end.
func (g *download) fetch(ctx, limited context.Context, s *session, r api.AddRequest, seed bool) error {
	var err error
	if g.share, err = s.client.Add(limited, r); err != nil {
		return g.unfinished(limited, s, about(err, g.what))
	}
	g.before = g.share.State == api.StateSeeding
	if len(r.Peers) > 0 && len(g.share.Groups) > 0 {
		g.notice("peers", "it comes from members alone, so --peer is not used (`shoal connect ADDR` tries the address of a member)")
	}
	if err := g.follow(limited, s); err != nil {
		return g.unfinished(limited, s, err)
	}
	if seed && s.mine() {
		g.out.Say("offering it until Ctrl-C")
		return g.stay(ctx, s, []api.Created{{InfoHash: g.share.InfoHash, Name: g.share.Name}})
	}
	return nil
}

// errTimeout is the cause of a context that --timeout ended.
var errTimeout = errors.New("timeout")

// unfinished says what becomes of a download that this command leaves early.
func (g *download) unfinished(ctx context.Context, s *session, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	sh := g.share
	cause := context.Cause(ctx)
	if cause == nil {
		return err
	}
	subject := sh.Name
	rest := "run the same command to go on"
	if !s.mine() && sh.InfoHash != "" {
		rest = "the download goes on in the node; `shoal rm " + view.Short(sh.InfoHash) + "` stops it"
	}
	if cause == errTimeout {
		reason := "it is not complete in time"
		if sh.BytesDone == 0 && sh.Peers == 0 {
			reason = "nobody had it in time"
		}
		return api.Errorf(api.Unreachable, subject, "%s", reason).Try("%s", rest)
	}
	reason := "interrupted"
	if sh.BytesWanted > 0 {
		reason = "interrupted, with " + api.FormatSize(sh.BytesDone) + " of " + api.FormatSize(sh.BytesWanted)
	}
	return api.Errorf(api.Interrupted, subject, "%s", reason).Try("%s", rest)
}

// download is one `get` under way.
type download struct {
	*app
	what   string // as the person named it
	began  time.Time
	before bool // it was complete when it was asked for

	mu    sync.Mutex
	share api.Share // as last heard
}

// nobodyAfter is when a person is told that nobody has it.
const nobodyAfter = 30 * time.Second

// errComplete ends the watch of a download that is done.
var errComplete = errors.New("complete")

// follow shows how far it is until it is done.
func (g *download) follow(ctx context.Context, s *session) error {
	// Where nobody has it nothing happens, and no event would remind us.
	patience := g.Patience
	if patience == 0 {
		patience = nobodyAfter
	}
	late := time.AfterFunc(patience-time.Since(g.began), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.nobody()
	})
	defer late.Stop()
	err := s.client.Watch(ctx, api.Filter{Share: g.share.InfoHash, Progress: g.pace()}, func(e api.Event) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.event(e)
	})
	switch {
	case errors.Is(err, errComplete):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && api.KindOf(err) != api.Unavailable:
		return err
	case !s.mine():
		return errNodeGone
	case err == nil:
		return api.Errorf(api.Unavailable, g.share.Name, "the node stopped")
	}
	return err
}

func (g *download) event(e api.Event) error {
	switch e := e.(type) {
	case *api.ShareEvent:
		g.share = e.Share
		if e.Share.State == api.StateFailed {
			kind := e.Share.Code
			if !kind.Known() {
				kind = api.Internal
			}
			return api.Errorf(kind, e.Share.Name, "%s", e.Share.Problem)
		}
	case *api.ProgressEvent:
		return g.progress(e)
	case *api.RemovedEvent:
		return api.Errorf(api.NotFound, g.share.Name, "it was removed from the node")
	case *api.Done:
		g.done(e)
		return errComplete
	default:
		return g.tell(e)
	}
	return nil
}

// progress shows a step: a bar on a terminal, a line with --json, else nothing.
func (g *download) progress(p *api.ProgressEvent) error {
	g.share.Name, g.share.State, g.share.BytesDone, g.share.BytesWanted = p.Name, p.State, p.Bytes, p.Total
	g.share.InfoHash, g.share.Peers, g.share.Candidates = p.InfoHash, p.Peers, p.Candidates
	if g.global.json {
		g.print(p)
	}
	b := term.Bar{Name: p.Name, Part: -1, Rate: p.DownRate, ETA: p.ETA, Peers: p.Peers}
	switch p.State {
	case api.StateMetadata:
		b.Note = "looking for it"
	case api.StateChecking:
		b.Note, b.Part = "verifying", p.Checked
	case api.StatePaused:
		b.Note = "paused"
	}
	if p.State != api.StateChecking && p.Total > 0 {
		b.Part = float64(p.Bytes) / float64(p.Total)
	}
	if !g.global.json {
		g.out.Draw(time.Now(), false, []term.Bar{b})
	}
	return nil
}

// nobody says, after a while, that nobody has it.
func (g *download) nobody() {
	s := &g.share
	if s.Peers > 0 || s.BytesDone > 0 || s.State == api.StateChecking || s.State == api.StatePaused {
		return
	}
	text := "nobody has it yet, and no address is known; still trying"
	if s.Candidates > 0 {
		text = "nobody has it yet, " + term.Count(s.Candidates, "known address") + "; still trying"
	}
	text += " (`shoal doctor` tells what may stand in the way)"
	if len(s.Groups) > 0 {
		text = "no member who has it is connected; still trying (`shoal peers` tells who is, and why not)"
	}
	g.notice("nobody", text)
}

// notice tells something about the share.
func (g *download) notice(code, text string) {
	if g.global.json {
		g.print(&api.Notice{Head: api.Head{Event: api.EventNotice, InfoHash: g.share.InfoHash}, Code: code, Text: text})
		return
	}
	g.out.Say("%s: %s", api.Safe(g.share.Name), text)
}

// done prints the result.
func (g *download) done(d *api.Done) {
	if g.global.json {
		if d.Peers == nil {
			d.Peers = []api.Source{}
		}
		g.print(d)
		return
	}
	g.line("%s", api.Safe(d.Path))
	text := api.FormatSize(d.Bytes) + " verified"
	if c := g.share.Completed; g.before && c.Before(g.began) {
		g.out.Say("%s before, complete since %s", text, view.Time(c))
		return
	}
	if d.Seconds > 0 && len(d.Peers) > 0 {
		text += " in " + view.Seconds(d.Seconds) + " (" + api.Rate(float64(d.Bytes)/d.Seconds).String() + ")"
	}
	if len(d.Peers) > 0 {
		text += ", from " + term.Count(len(d.Peers), "peer")
	}
	if d.Wasted > 0 {
		text += ", " + api.FormatSize(d.Wasted) + " wasted"
	}
	g.out.Say("%s", text)
}

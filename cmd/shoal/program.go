package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"shoal/internal/door/api"
	"shoal/internal/door/cli"
	"shoal/internal/door/httpd"
	"shoal/internal/node"
)

// engine is a node as the wiring needs it: what the HTTP door asks of it, and its
// life.
type engine struct {
	door   httpd.Node
	id     string
	listen func() []string
	failed <-chan error
	close  func(context.Context) error
}

// opener starts a node for a home that is open and locked.
type opener func(ctx context.Context, o node.Options) (*engine, error)

// openNode is the opener of the real program.
func openNode(_ context.Context, o node.Options) (*engine, error) {
	n, err := node.Start(o)
	if err != nil {
		return nil, err
	}
	return &engine{
		door: httpd.Node{Shares: n, Control: n, Limits: n, Status: n, Events: n, Groups: n, Tickets: n, Identity: n, Reach: n},
		id:   n.ID(), listen: n.Listening, close: n.Close,
	}, nil
}

// program is what cli asks of this process.
type program struct {
	open   opener
	getenv func(string) string
	stderr io.Writer
}

// Connect implements cli.Program: it knocks at the socket of the home.
func (p *program) Connect(ctx context.Context, home string) (*api.Client, error) {
	dir, err := node.HomeDir(home, p.getenv)
	if err != nil {
		return nil, err
	}
	path := (&node.Home{Dir: dir}).FindSocket()
	if _, err := os.Lstat(path); err != nil {
		return nil, nil
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		c.Close()
		return api.NewSocketClient(path), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrPermission):
		return nil, api.Errorf(api.Path, path, "the socket of this home belongs to someone else").Try("choose another home with --home DIR")
	}
	return nil, nil // nobody listens: a node died here
}

// Start implements cli.Program.
func (p *program) Start(ctx context.Context, o cli.StartOptions) (cli.Node, error) {
	dir, err := node.HomeDir(o.Home, p.getenv)
	if err != nil {
		return nil, err
	}
	home, err := node.OpenHome(dir)
	if err != nil {
		return nil, err
	}
	lock, err := home.Lock()
	if err != nil {
		return nil, err
	}
	r := &running{home: home, lock: lock, failed: make(chan error, 1)}
	if err := r.start(ctx, p, o); err != nil {
		end, cancel := context.WithCancel(context.WithoutCancel(ctx))
		cancel() // nothing has begun that could need time
		return nil, errors.Join(err, r.Close(end))
	}
	return r, nil
}

// options are the configuration of the home with the flags applied.
func (p *program) options(home *node.Home, o cli.StartOptions) (node.Options, error) {
	cfg, err := home.LoadConfig()
	if err != nil {
		return node.Options{}, err
	}
	if o.Scope != "" {
		if cfg.Network.Scope, err = node.ParseScope(o.Scope); err != nil {
			return node.Options{}, err
		}
	}
	if o.Bind != "" {
		cfg.Network.Bind = o.Bind
	}
	if o.Port >= 0 {
		cfg.Network.Port = o.Port
	}
	if o.APIPort >= 0 {
		cfg.API.Port = o.APIPort
	}
	opts := node.Options{Home: home, Config: cfg, Limits: o.Limits, Offline: o.Offline, PortStrict: o.PortStrict, Log: p.logger(cfg, o.Quiet)}
	if !o.Offline {
		opts.Bind, err = node.ParseBind(cfg.Network.Bind)
	}
	return opts, err
}

// logger writes to standard error what the configuration asks for; a command that
// tells the person itself what matters logs errors only.
func (p *program) logger(cfg node.Config, quiet bool) *slog.Logger {
	level := cfg.Log.Level
	if quiet && level >= slog.LevelInfo {
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}

// Fsck implements cli.Program.
func (p *program) Fsck(ctx context.Context, home string, repair bool) (api.FsckReport, error) {
	dir, err := node.HomeDir(home, p.getenv)
	if err != nil {
		return api.FsckReport{}, err
	}
	return node.Fsck(ctx, dir, repair)
}

// ConfigText implements cli.Program.
func (p *program) ConfigText() string { return node.DefaultConfigText() }

// running is a node in this process with its doors. It implements cli.Node.
type running struct {
	home   *node.Home
	lock   *node.Lock
	engine *engine
	server *httpd.Server
	socket string
	url    string
	failed chan error
}

// start opens the node, then the doors: nobody is answered before it is ready.
func (r *running) start(ctx context.Context, p *program, o cli.StartOptions) error {
	opts, err := p.options(r.home, o)
	if err != nil {
		return err
	}
	cfg := httpd.Config{Hosts: opts.Config.API.Hosts, Pprof: opts.Config.API.Pprof, Offline: o.Offline, Home: r.home.Dir, Log: opts.Log}
	var tcp []net.Listener
	if o.OpenAPI { // before the node: a taken port is then an error that costs nothing
		if cfg.Token, err = r.home.Token(); err != nil {
			return err
		}
		if tcp, err = listenAPI(opts.Config.API.Port, o.PortStrict); err != nil {
			return err
		}
		cfg.URL = "http://" + tcp[0].Addr().String()
	}
	r.url = cfg.URL
	if r.engine, err = p.open(ctx, opts); err != nil {
		closeAll(tcp)
		return err
	}
	r.socket = r.home.SocketPath(p.getenv)
	if err := r.home.NoteSocket(r.socket); err != nil {
		closeAll(tcp)
		return err
	}
	sock, err := httpd.ListenSocket(r.socket)
	if err != nil {
		closeAll(tcp)
		return api.Errorf(api.KindOf(err), r.socket, "the socket of the API cannot be made: %w", err)
	}
	r.server = httpd.New(r.engine.door, cfg)
	r.serve(r.server.ServeOwner, sock)
	for _, l := range tcp {
		r.serve(r.server.ServeToken, l)
	}
	return nil
}

// listenAPI opens the port for browsers and programs.
func listenAPI(port int, strict bool) ([]net.Listener, error) {
	l, err := httpd.ListenLoopback(port)
	if errors.Is(err, syscall.EADDRINUSE) && !strict {
		return httpd.ListenLoopback(0)
	}
	return l, node.PortTaken(err, port, "--api-port")
}

// serve answers on one listener; a door that falls shut by itself ends the node.
func (r *running) serve(serve func(net.Listener) error, l net.Listener) {
	go func() {
		if err := serve(l); err != nil {
			select {
			case r.failed <- err:
			default:
			}
		}
	}()
}

func closeAll(list []net.Listener) {
	for _, l := range list {
		l.Close()
	}
}

// Client implements cli.Node.
func (r *running) Client() *api.Client { return api.NewSocketClient(r.socket) }

// Ready implements cli.Node.
func (r *running) Ready() api.Ready {
	listen := r.engine.listen()
	if listen == nil {
		listen = []string{}
	}
	return api.Ready{Head: api.Head{Event: api.EventReady}, API: r.url, Listen: listen, NodeID: r.engine.id,
		Home: r.home.Dir, Socket: r.socket, PID: os.Getpid()}
}

// Failed implements cli.Node.
func (r *running) Failed() <-chan error {
	if r.engine.failed == nil {
		return r.failed
	}
	return r.engine.failed
}

// Close implements cli.Node: the doors first, so that nobody asks a node that
// ends; then the node; the lock last, so that the next one finds all in place.
func (r *running) Close(ctx context.Context) error {
	var errs []error
	if r.server != nil {
		errs = append(errs, r.server.Close(ctx))
	}
	if r.engine != nil {
		errs = append(errs, r.engine.close(ctx))
	}
	if r.socket != "" && r.socket != filepath.Join(r.home.Dir, node.SocketFile) {
		os.Remove(r.home.Path(node.SocketPathFile))
	}
	return errors.Join(append(errs, r.lock.Release())...)
}

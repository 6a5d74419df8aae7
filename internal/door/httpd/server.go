package httpd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"shoal/internal/door/api"
)

// The limits of the door (security card, "HTTP API").
const (
	maxConnections = 256              // of each listener
	maxHeader      = 16<<10 - 4096    // net/http adds 4 KiB of its own
	headerTimeout  = 5 * time.Second  // to send the header
	bodyTimeout    = 30 * time.Second // to send the body
	writeTimeout   = 20 * time.Second // to take one answer, or one event
	idleTimeout    = 60 * time.Second // between two requests
	closeTimeout   = 500 * time.Millisecond
	eventQueue     = 256              // events that a listener may lag behind
	keepAlive      = 15 * time.Second // between two signs of life on a quiet stream
)

// Config is what the door is set up with.
type Config struct {
	Token string   // bearer token that TCP listeners want, 64 hex digits
	Hosts []string // further names (host or host:port) that TCP listeners answer to
	URL   string   // of the TCP listeners, for status; empty if there is none
	Pprof bool     // serve /debug/pprof
	// Home is the folder with the node's key and tokens, which is never published; may be "".
	Home string
	// Offline is told in the status: the node reaches nobody, so it is none to fetch with.
	Offline bool
	Log     *slog.Logger
}

// Server answers for one node.
type Server struct {
	node    Node
	cfg     Config
	mux     *http.ServeMux
	routes  []route
	openapi func() []byte // made when it is first asked for
	guess   failures
	ctx     context.Context // ends when the server closes, and with it every stream
	stop    context.CancelFunc

	mu      sync.Mutex
	servers []*http.Server
}

// New is a server for the node; it listens to nothing until Serve is called.
func New(n Node, c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{node: n, cfg: c, routes: append(routes(), groupRoutes(n)...)}
	if c.Pprof {
		s.routes = append(s.routes, pprofRoutes()...)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.openapi = sync.OnceValue(func() []byte { return openAPI(s.routes, s.eventTypes()) })
	s.mux = s.muxOf(s.routes)
	return s
}

// ServeOwner answers on a listener that only the owner of the home can reach (the
// home's socket): no token is needed there. It returns when the server is closed.
func (s *Server) ServeOwner(l net.Listener) error {
	return s.serve(l, s.secure(s.mux))
}

// ServeToken answers on a loopback TCP listener: every call needs the token, and
// Host and Origin must be this listener's. It returns when the server is closed.
func (s *Server) ServeToken(l net.Listener) error {
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return errors.Join(errors.New("httpd: this listener is not a loopback TCP one"), l.Close())
	}
	return s.serve(l, s.secure(s.guard(hostsOf(addr, s.cfg.Hosts), s.mux)))
}

func (s *Server) serve(l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
	}
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		return l.Close()
	}
	s.servers = append(s.servers, srv)
	s.mu.Unlock()
	err := srv.Serve(newBounded(l, maxConnections))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close interrupts running calls and streams. It waits for their answers closeTimeout at
// most: a caller that asked nothing yet, or a call that goes on, must not keep the node
// from its own farewell.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	s.mu.Lock()
	servers := s.servers
	s.mu.Unlock()
	var errs []error
	for _, srv := range servers {
		if err := srv.Shutdown(ctx); err != nil {
			errs = append(errs, srv.Close())
		}
	}
	return errors.Join(errs...)
}

// bounded is a listener that has at most so many connections open; more wait to
// be accepted.
type bounded struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newBounded(l net.Listener, n int) *bounded {
	return &bounded{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

// Accept waits for a free slot, then for a connection.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &boundedConn{Conn: c, free: func() { <-b.slots }}, nil
}

// Close closes the listener and lets Accept return.
func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

type boundedConn struct {
	net.Conn
	once sync.Once
	free func()
}

// Close frees the slot, once.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.free)
	return err
}

// ReadFrom keeps the kernel's way from file to socket open.
func (c *boundedConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// problem answers with an error.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, err error) {
	p := api.ProblemOf(err)
	if p.Code == api.Internal {
		s.cfg.Log.Error("api: call failed", "method", r.Method, "path", api.Safe(r.URL.Path), "err", api.Safe(err.Error()))
	}
	if p.Code == api.Unauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="shoal"`)
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

package engine

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/ident"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// network is a net in memory: an address for each node, pipes with a delay between them.
type network struct {
	mu    sync.Mutex
	hosts map[netip.AddrPort]*host
	delay time.Duration // one way, of a connection and of its first bytes
}

// host is one address of a network, and a net.Listener.
type host struct {
	net  *network
	at   netip.AddrPort
	come chan net.Conn
	gone chan struct{}
	once sync.Once

	relay ident.NodeID  // carries what is dialled from here; zero: nobody
	slow  time.Duration // and what is dialled from here takes so much longer
	dials int           // from here; net.mu
}

func (w *network) host(addr string) *host {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hosts == nil {
		w.hosts = make(map[netip.AddrPort]*host)
	}
	h := &host{net: w, at: netip.MustParseAddrPort(addr), come: make(chan net.Conn), gone: make(chan struct{})}
	w.hosts[h.at] = h
	return h
}

func (h *host) Accept() (net.Conn, error) {
	select {
	case c := <-h.come:
		return c, nil
	case <-h.gone:
		return nil, net.ErrClosed
	}
}

func (h *host) Close() error   { h.once.Do(func() { close(h.gone) }); return nil }
func (h *host) Addr() net.Addr { return net.TCPAddrFromAddrPort(h.at) }

// dial opens a connection from this host.
func (h *host) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	h.net.mu.Lock()
	other := h.net.hosts[to]
	h.dials++
	h.net.mu.Unlock()
	if other == nil {
		return nil, syscall.ECONNREFUSED
	}
	near, far := net.Pipe()
	travel := time.NewTimer(h.net.delay)
	select {
	case <-travel.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	from := h.at
	if !ident.IsOverlay(from.Addr()) {
		from = netip.AddrPortFrom(from.Addr(), 40000)
	}
	select {
	case other.come <- &pipe{far, h.net.delay + h.slow, to, from, h.relay}:
		return &pipe{near, h.net.delay + h.slow, from, to, h.relay}, nil
	case <-other.gone:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipe is a connection whose bytes take a while.
type pipe struct {
	net.Conn
	delay     time.Duration
	near, far netip.AddrPort
	relay     ident.NodeID
}

func (p *pipe) LocalAddr() net.Addr         { return net.TCPAddrFromAddrPort(p.near) }
func (p *pipe) RemoteAddr() net.Addr        { return net.TCPAddrFromAddrPort(p.far) }
func (p *pipe) Via() (string, ident.NodeID) { return "pipe", p.relay }

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	<-time.After(p.delay)
	return n, err
}

// close ends nodes, and waits for what is still on its way.
func (w *network) close(nodes ...*node) {
	for _, n := range nodes {
		n.stop()
	}
	<-time.After(2 * time.Second)
}

// inMemory has a node live at a host.
func inMemory(h *host) func(*Config) {
	return func(c *Config) {
		for _, l := range c.Listeners {
			l.Close()
		}
		c.Listeners, c.Dial, c.OnePerIP = []net.Listener{h}, h.dial, true
	}
}

// stranger accepts connections at a host and plays each by hand until it ends.
func (h *host) stranger(t *testing.T, name [20]byte, id string, play func(p *rawPeer)) {
	go func() {
		for {
			nc, err := h.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				p := &rawPeer{t: t, nc: nc}
				if _, err := link.ReadHandshake(nc); err != nil {
					return
				}
				hello := wire.Handshake{InfoHash: name}
				copy(hello.PeerID[:], id)
				hello.Set(wire.CapFast | wire.CapExtended)
				if _, err := nc.Write(hello.Append(nil)); err == nil {
					play(p)
				}
			}()
		}
	}()
}

// offers sends an extended handshake that offers so many bytes of description, and answers
// requests for them as said; nil is silence.
func offers(size int, answer func(part int) []byte) func(p *rawPeer) {
	return func(p *rawPeer) {
		h := wire.ExtHandshake{M: wire.Local(false), MetadataSize: int64(size)}
		if _, err := p.nc.Write(h.Append(wire.AppendState(nil, wire.HaveNone))); err != nil {
			return
		}
		var theirs wire.ExtHandshake
		for {
			_, payload, ok := p.next(wire.Extended)
			if !ok {
				return
			}
			ext, body, _ := wire.ParseExtended(payload)
			if ext == wire.ExtHandshakeID {
				_ = theirs.Update(body)
			}
			if q, err := wire.ParseMetadata(body); ext == wire.ExtMetadata && err == nil && answer != nil {
				m := wire.MetadataMsg{Type: wire.MetadataData, Piece: q.Piece, TotalSize: int64(size), Data: answer(q.Piece)}
				if _, err := p.nc.Write(m.Append(nil, theirs.M.Metadata)); err != nil {
					return
				}
			}
		}
	}
}

// TestDescriptionAmongLiars: peers that are silent, lie, or make up a size hold the
// description of a link up by no more than seconds.
func TestDescriptionAmongLiars(t *testing.T) {
	root := filepath.Join(t.TempDir(), "content")
	for _, n := range []string{"a", "b"} {
		writeFile(t, filepath.Join(root, n), 600*16<<10) // 1,200 v1 hashes: two parts
	}
	m, report, err := store.Create(t.Context(), root, store.CreateOptions{Version: metainfo.V1, PieceLength: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	size := len(m.InfoBytes)
	wrong := func(part int) []byte { return make([]byte, min(16<<10, size-part*16<<10)) }
	for name, play := range map[string]func(*rawPeer){
		"silent":           offers(size, nil),
		"lying":            offers(size, wrong),
		"made up, silent":  offers(16<<20, nil),
		"made up, endless": offers(16<<20, func(int) []byte { <-time.After(time.Second); return make([]byte, 16<<10) }),
	} {
		t.Run(name, func(t *testing.T) {
			home, dir := t.TempDir(), t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := &network{delay: 20 * time.Millisecond}
				bad := w.host("10.0.0.1:1")
				bad.stranger(t, m.Hash.V1, "-XX0000-000000000001", play)
				defer bad.Close()
				seed := startNodeAt(t, home, inMemory(w.host("10.0.0.2:1")))
				if _, err := seed.Add(Spec{Meta: m, Dir: filepath.Dir(root), InPlace: true, Resume: report.Resume}); err != nil {
					t.Fatal(err)
				}
				leech := startNodeAt(t, dir, inMemory(w.host("10.0.0.3:1")))
				begun := time.Now()
				leech.fetch(Spec{Magnet: magnet(m.Hash), Dir: dir, Peers: []string{"10.0.0.1:1"}})
				<-time.After(500 * time.Millisecond) // the other is asked first
				if _, err := leech.AddPeers(m.Hash.ID(), []string{"10.0.0.2:1"}); err != nil {
					t.Fatal(err)
				}
				leech.wait("the description", func(e Event) bool { return e.Status != nil && e.Status.Pieces > 0 })
				if took := time.Since(begun); took > 6*time.Second {
					t.Errorf("the description took %v", took)
				} else {
					t.Logf("the description took %v", took)
				}
				leech.waitDone(m.Hash)
				w.close(leech, seed)
			})
		})
	}
}

// TestCrossingConnections: two nodes that dial each other at once end up with one
// connection, not with none.
func TestCrossingConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, testPiece)
	m, report, err := store.Create(t.Context(), path, store.CreateOptions{Version: metainfo.V1, PieceLength: testPiece})
	if err != nil {
		t.Fatal(err)
	}
	for range 8 { // which of the two is seen first differs, and which ID is smaller
		homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w := &network{delay: 20 * time.Millisecond}
			a, b := startNodeAt(t, homes[0], inMemory(w.host("10.0.0.1:1"))), startNodeAt(t, homes[1], inMemory(w.host("10.0.0.2:1")))
			defer w.close(a, b)
			for n, spec := range map[*node]Spec{a: {Dir: filepath.Dir(path), InPlace: true, Resume: report.Resume}, b: {Dir: dir}} {
				spec.Meta = m
				if _, err := n.Add(spec); err != nil {
					t.Fatal(err)
				}
				n.wait("ready", func(e Event) bool {
					return e.Status != nil && (e.Status.State == Seeding || e.Status.State == Fetching)
				})
			}
			begun := time.Now()
			for n, peer := range map[*node]string{a: "10.0.0.2:1", b: "10.0.0.1:1"} {
				if _, err := n.AddPeers(m.Hash.ID(), []string{peer}); err != nil {
					t.Fatal(err)
				}
			}
			b.waitDone(m.Hash)
			if took := time.Since(begun); took > time.Second { // a person's peer is tried again after that
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestOnePerAddress: a second stranger of one address is not taken (limits card), and of
// those who come to a share that is still fetched only half of the places are for.
func TestOnePerAddress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, testPiece)
	m, _, err := store.Create(t.Context(), path, store.CreateOptions{Version: metainfo.V1, PieceLength: testPiece})
	if err != nil {
		t.Fatal(err)
	}
	home, dir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &network{}
		n := startNodeAt(t, home, inMemory(w.host("10.0.0.1:1")), func(c *Config) { c.MaxShareConns = 4 })
		defer w.close(n)
		n.fetch(Spec{Meta: m, Dir: dir})
		n.wait("ready", func(e Event) bool { return e.Status != nil && e.Status.State == Fetching })
		for i, c := range []struct {
			from string
			want bool
		}{{"10.0.0.2:1", true}, {"10.0.0.2:2", false}, {"10.0.0.3:1", true}, {"10.0.0.4:1", false}} {
			nc, err := w.host(c.from).dial(t.Context(), netip.MustParseAddrPort("10.0.0.1:1"))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			hello := wire.Handshake{InfoHash: m.Hash.V1, PeerID: wire.PeerID{byte(i)}}
			hello.Set(wire.CapFast)
			if _, err := nc.Write(hello.Append(nil)); err != nil {
				t.Fatal(err)
			}
			if _, err := link.ReadHandshake(nc); err != nil {
				t.Fatal(err)
			}
			_, err = nc.Read(make([]byte, 100)) // what there is to say, or the end
			if (err == nil) != c.want {
				t.Errorf("%s: taken %t", c.from, err == nil)
			}
		}
	})
}

//go:build linux

package fault

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
)

// content is a share of one file, as hand-written peers hold it.
type content struct {
	meta *metainfo.Metainfo
	data []byte
}

// readContent loads a .torrent and its single file.
func readContent(t *testing.T, torrent, file string) *content {
	t.Helper()
	b, err := os.ReadFile(torrent)
	must(t, err)
	m, err := metainfo.Parse(b)
	must(t, err)
	data, err := os.ReadFile(file)
	must(t, err)
	return &content{m, data}
}

// block is the right answer to a request; nil if it makes no sense.
func (c *content) block(r wire.RequestMsg) []byte {
	off := int64(r.Piece)*c.meta.Info.PieceLength + int64(r.Begin)
	end := off + int64(r.Length)
	if end > int64(len(c.data)) {
		return nil
	}
	return c.data[off:end]
}

// bits is the bitfield of everything.
func (c *content) bits() []byte {
	n := c.meta.Info.NumPieces()
	b := make([]byte, wire.BitfieldLen(n))
	for p := range n {
		b[p/8] |= 0x80 >> (p % 8)
	}
	return b
}

// rival is a hand-written peer: it listens, and does as its script says on each
// connection that shoal makes.
type rival struct {
	t      *testing.T
	c      *content
	host   string
	id     wire.PeerID
	caps   wire.Capability
	script func(*link)
	ln     net.Listener
	links  atomic.Int32 // connections so far
	served atomic.Int64 // right blocks sent
	lied   atomic.Int64 // wrong ones
	mu     sync.Mutex
	open   []net.Conn
}

// link is one connection of a rival after the handshake.
type link struct {
	*rival
	net.Conn
	in     *bufio.Reader
	theirs wire.Handshake
	wmu    sync.Mutex
}

// newRival makes a peer that listens on an address of its own until the test ends.
func newRival(t *testing.T, l *clients.Lab, c *content, script func(*link)) *rival {
	t.Helper()
	r := &rival{t: t, c: c, host: l.Host(), caps: wire.CapFast | wire.CapExtended, script: script}
	r.newID()
	var err error
	r.ln, err = net.Listen("tcp", r.addr())
	must(t, err)
	go func() {
		for {
			nc, err := r.ln.Accept()
			if err != nil {
				return
			}
			r.links.Add(1)
			r.keep(nc)
			go r.answer(nc)
		}
	}()
	t.Cleanup(r.close)
	return r
}

func (r *rival) newID() {
	copy(r.id[:], "-XX0001-")
	_, _ = rand.Read(r.id[8:])
}

func (r *rival) keep(nc net.Conn) {
	r.mu.Lock()
	r.open = append(r.open, nc)
	r.mu.Unlock()
}

func (r *rival) close() {
	if r.ln != nil {
		r.ln.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, nc := range r.open {
		nc.Close()
	}
}

func (r *rival) addr() string { return net.JoinHostPort(r.host, strconv.Itoa(peerPort)) }

func (r *rival) ip() netip.Addr { return netip.MustParseAddr(r.host) }

func (r *rival) handshake(name [20]byte) []byte {
	h := wire.Handshake{InfoHash: name, PeerID: r.id}
	h.Set(r.caps)
	return h.Append(nil)
}

func (r *rival) answer(nc net.Conn) {
	defer nc.Close()
	l := &link{rival: r, Conn: nc, in: bufio.NewReaderSize(nc, 64<<10)}
	var b [wire.HandshakeLen]byte
	if _, err := io.ReadFull(l.in, b[:]); err != nil {
		return
	}
	var err error
	if l.theirs, err = wire.ParseHandshake(b[:]); err != nil {
		return
	}
	if _, err := nc.Write(r.handshake(l.theirs.InfoHash)); err == nil {
		r.script(l)
	}
}

// dial connects to a node and runs the script there; it returns when that ends.
func (r *rival) dial(addr string, name [20]byte) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(r.host)}, Timeout: 5 * time.Second}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	r.keep(nc)
	if _, err := nc.Write(r.handshake(name)); err != nil {
		return err
	}
	l := &link{rival: r, Conn: nc, in: bufio.NewReaderSize(nc, 64<<10)}
	var b [wire.HandshakeLen]byte
	if _, err := io.ReadFull(l.in, b[:]); err != nil {
		return err
	}
	if l.theirs, err = wire.ParseHandshake(b[:]); err != nil {
		return err
	}
	r.links.Add(1)
	r.script(l)
	return nil
}

// send writes bytes; several goroutines may.
func (l *link) send(b []byte) error {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	_, err := l.Write(b)
	return err
}

// frame reads the next message that is no keep-alive.
func (l *link) frame() (wire.ID, []byte, error) {
	for {
		var n uint32
		if err := binary.Read(l.in, binary.BigEndian, &n); err != nil {
			return 0, nil, err
		}
		if n == 0 {
			continue
		}
		if n > 1<<20 {
			return 0, nil, fmt.Errorf("a frame of %d bytes from shoal", n)
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(l.in, b); err != nil {
			return 0, nil, err
		}
		return wire.ID(b[0]), b[1:], nil
	}
}

// drain reads until the connection ends.
func (l *link) drain() { _, _ = io.Copy(io.Discard, l.in) }

// greet says that the peer has everything and lets shoal ask.
func (l *link) greet() error {
	return l.send(wire.AppendState(wire.AppendState(nil, wire.HaveAll), wire.Unchoke))
}

// serve answers requests; judge says what to do with each: nil bytes are no answer.
func (l *link) serve(judge func(wire.RequestMsg) []byte) {
	for {
		id, payload, err := l.frame()
		if err != nil {
			return
		}
		if id != wire.Request {
			continue
		}
		r, err := wire.ParseRequest(payload)
		if err != nil {
			l.t.Errorf("a request that is none from shoal: %v", err)
			return
		}
		data := judge(r)
		if data == nil {
			continue
		}
		h := wire.PieceHeader{Piece: r.Piece, Begin: r.Begin, DataLen: len(data)}
		if err := l.send(append(h.Append(nil), data...)); err != nil {
			return
		}
	}
}

// honest answers every request rightly.
func honest(l *link) {
	if l.greet() != nil {
		return
	}
	l.serve(func(r wire.RequestMsg) []byte {
		l.served.Add(int64(r.Length))
		return l.c.block(r)
	})
}

// liar answers with wrong bytes, as often as lie says.
func liar(lie func(n int64) bool) func(*link) {
	var n atomic.Int64
	return func(l *link) {
		if l.greet() != nil {
			return
		}
		l.serve(func(r wire.RequestMsg) []byte {
			right := l.c.block(r)
			if right == nil || !lie(n.Add(1)) {
				l.served.Add(int64(r.Length))
				return right
			}
			l.lied.Add(1)
			wrong := append([]byte(nil), right...)
			wrong[len(wrong)/2] ^= 0x40
			return wrong
		})
	}
}

package engine

import (
	"fmt"
	"net"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// rawPeer is a peer that a test plays by hand.
type rawPeer struct {
	t   *testing.T
	nc  net.Conn
	buf []byte

	theirs wire.Handshake // where it is kept
}

// dialRaw connects to a node under the name of a share, with the bit of BEP 52.
func dialRaw(t *testing.T, n *node, name [20]byte) *rawPeer {
	t.Helper()
	nc, err := net.Dial("tcp", n.addr())
	if err != nil {
		t.Fatal(err)
	}
	p := &rawPeer{t: t, nc: nc}
	t.Cleanup(func() { nc.Close() })
	p.greet(name)
	return p
}

// rawListener waits for a node to dial.
func rawListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// acceptRaw takes the next connection and answers its handshake under the name.
func acceptRaw(t *testing.T, l net.Listener, name [20]byte) *rawPeer {
	t.Helper()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := &rawPeer{t: t, nc: nc}
	t.Cleanup(func() { nc.Close() })
	p.greet(name)
	return p
}

func (p *rawPeer) greet(name [20]byte) {
	p.t.Helper()
	if err := p.nc.SetDeadline(time.Now().Add(longest)); err != nil {
		p.t.Fatal(err)
	}
	h := wire.Handshake{InfoHash: name}
	copy(h.PeerID[:], fmt.Sprintf("-XX0000-%012d", p.nc.LocalAddr().(*net.TCPAddr).Port))
	h.Set(wire.CapFast | wire.CapExtended | wire.CapV2)
	p.send(h.Append(nil))
	if _, err := link.ReadHandshake(p.nc); err != nil {
		p.t.Fatal(err)
	}
}

func (p *rawPeer) send(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the next message of that kind; others are passed over. False: the
// connection has ended.
func (p *rawPeer) next(want ...wire.ID) (wire.ID, []byte, bool) {
	p.t.Helper()
	for {
		for {
			frame, n, err := wire.Next(p.buf, 1<<20)
			if err != nil {
				p.t.Error(err)
				return 0, nil, false
			}
			if n == 0 {
				break
			}
			p.buf = p.buf[n:]
			for _, id := range want {
				if len(frame) > 0 && wire.ID(frame[0]) == id {
					return id, frame[1:], true
				}
			}
		}
		b := make([]byte, 64<<10)
		n, err := p.nc.Read(b)
		if err != nil {
			return 0, nil, false
		}
		p.buf = append(p.buf, b[:n]...)
	}
}

// describe offers the info dictionary of a share and serves it to who asks (BEP 9), then
// says that it has everything.
func (p *rawPeer) describe(m *metainfo.Metainfo) {
	p.t.Helper()
	h := wire.ExtHandshake{M: wire.Local(false), MetadataSize: int64(len(m.InfoBytes))}
	p.send(h.Append(wire.AppendState(nil, wire.HaveAll)))
	var theirs wire.ExtHandshake
	for {
		_, payload, ok := p.next(wire.Extended)
		if !ok {
			p.t.Fatal("the connection ended before the description was asked for")
		}
		ext, body, err := wire.ParseExtended(payload)
		if err != nil {
			p.t.Fatal(err)
		}
		switch ext {
		case wire.ExtHandshakeID:
			if err := theirs.Update(body); err != nil {
				p.t.Fatal(err)
			}
		case wire.ExtMetadata:
			q, err := wire.ParseMetadata(body)
			if err != nil {
				p.t.Fatal(err)
			}
			lo := q.Piece * 16384
			hi := min(lo+16384, len(m.InfoBytes))
			p.send(wire.MetadataMsg{Type: wire.MetadataData, Piece: q.Piece, TotalSize: int64(len(m.InfoBytes)),
				Data: m.InfoBytes[lo:hi]}.Append(nil, theirs.M.Metadata))
			if hi == len(m.InfoBytes) {
				return
			}
		}
	}
}

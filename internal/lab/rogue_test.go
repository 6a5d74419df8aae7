//go:build linux

package lab

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// rogue is a node of the overlay written by hand, which keeps no rule: one TCP connection
// with TLS 1.3 and yamux, by libp2p's specifications "tls", "multistream-select" and "yamux".
type rogue struct {
	tls *tls.Conn
	err chan error // why reading ended

	mu      sync.Mutex
	next    uint32
	streams map[uint32]chan []byte // what came; closed at a reset or an end
}

// keyOf is the private key of a home.
func (n *node) keyOf() ed25519.PrivateKey {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.home, "node.key"))
	must(n.t, err)
	// A libp2p private key: type 1 (Ed25519), 64 bytes.
	if len(b) != 68 || string(b[:4]) != "\x08\x01\x12\x40" {
		n.t.Fatalf("a key file of %d bytes", len(b))
	}
	return ed25519.PrivateKey(b[4:])
}

// freshKey is the key of nobody.
func freshKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

// certificate binds a key for TLS to the key of a node.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	mine, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(mine.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	signed, err := asn1.Marshal(struct{ Key, Signature []byte }{
		append([]byte("\x08\x01\x12\x20"), key.Public().(ed25519.PublicKey)...),
		ed25519.Sign(key, append([]byte("libp2p-tls-handshake:"), spki...))})
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Subject:         pkix.Name{SerialNumber: "1"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 53594, 1, 1}, Value: signed}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, mine.Public(), mine)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: mine}, err
}

// token is a line of multistream-select.
func token(s string) []byte { return append([]byte{byte(len(s) + 1)}, s+"\n"...) }

// readToken reads one of at most 127 bytes.
func readToken(r io.Reader) (string, error) {
	var n [1]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return "", err
	}
	if n[0] == 0 || n[0] > 127 {
		return "", fmt.Errorf("a token of %d bytes", n[0])
	}
	b := make([]byte, n[0])
	_, err := io.ReadFull(r, b)
	return string(b[:len(b)-1]), err
}

const multistream = "/multistream/1.0.0"

// newRogue connects to a node.
func newRogue(ctx context.Context, from *space, to string, key ed25519.PrivateKey) (*rogue, error) {
	cert, err := certificate(key)
	if err != nil {
		return nil, err
	}
	var c net.Conn
	err = from.in(func() (err error) {
		var d net.Dialer
		c, err = d.DialContext(ctx, "tcp", to)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := c.Write(append(token(multistream), token("/tls/1.0.0")...)); err != nil {
		return nil, err
	}
	for _, want := range []string{multistream, "/tls/1.0.0"} {
		if got, err := readToken(c); err != nil || got != want {
			return nil, errors.Join(err, fmt.Errorf("%q instead of %q", got, want), c.Close())
		}
	}
	r := &rogue{next: 1, streams: map[uint32]chan []byte{}, err: make(chan error, 1)}
	r.tls = tls.Client(c, &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13,
		NextProtos: []string{"/yamux/1.0.0", "libp2p"}})
	if err := r.tls.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if got := r.tls.ConnectionState().NegotiatedProtocol; got != "/yamux/1.0.0" {
		return nil, errors.Join(fmt.Errorf("multiplexer %q", got), c.Close())
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	go func() { r.err <- r.read() }()
	return r, nil
}

// Types and flags of yamux frames.
const (
	yamuxData, yamuxWindow, yamuxPing = 0, 1, 2
	yamuxSYN, yamuxACK                = 1, 2
	yamuxFIN, yamuxRST                = 4, 8
)

func frame(kind byte, flags uint16, stream, length uint32) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, kind}, flags)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, stream), length)
}

// read files what comes until the connection ends.
func (r *rogue) read() error {
	in := bufio.NewReaderSize(r.tls, 64<<10)
	for {
		var h [12]byte
		if _, err := io.ReadFull(in, h[:]); err != nil {
			return err
		}
		kind, flags := h[1], binary.BigEndian.Uint16(h[2:])
		stream, length := binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
		var data []byte
		switch {
		case kind == yamuxData:
			data = make([]byte, min(length, 1<<20))
			if _, err := io.ReadFull(in, data); err != nil {
				return err
			}
		case kind == yamuxPing && flags&yamuxSYN != 0:
			if _, err := r.tls.Write(frame(yamuxPing, yamuxACK, 0, length)); err != nil {
				return err
			}
		}
		r.mu.Lock()
		if s := r.streams[stream]; s != nil {
			if len(data) > 0 && len(s) < cap(s) {
				s <- data
			}
			if flags&(yamuxFIN|yamuxRST) != 0 {
				close(s)
				delete(r.streams, stream)
			}
		}
		r.mu.Unlock()
	}
}

// open opens a stream and says the first bytes on it, of which it may hear.
func (r *rogue) open(first []byte, hear bool) (<-chan []byte, error) {
	r.mu.Lock()
	id := r.next
	r.next += 2
	var in chan []byte
	if hear {
		in = make(chan []byte, 16)
		r.streams[id] = in
	}
	r.mu.Unlock()
	b := append(frame(yamuxWindow, yamuxSYN, id, 0), frame(yamuxData, 0, id, uint32(len(first)))...)
	_, err := r.tls.Write(append(b, first...))
	return in, err
}

// speaks tells whether the other side takes up a protocol.
func (r *rogue) speaks(ctx context.Context, protocol string) (bool, error) {
	in, err := r.open(append(token(multistream), token(protocol)...), true)
	if err != nil {
		return false, err
	}
	var got []byte
	for {
		select {
		case b, ok := <-in:
			got = append(got, b...)
			switch {
			case containsToken(got, protocol):
				return true, nil
			case containsToken(got, "na"), !ok:
				return false, nil
			}
		case err := <-r.err:
			r.err <- err
			return false, nil // thrown out
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func containsToken(b []byte, s string) bool {
	return string(lastBytes(b, len(s)+2)) == string(token(s))
}

func lastBytes(b []byte, n int) []byte { return b[max(len(b)-n, 0):] }

// close ends the connection.
func (r *rogue) close() { r.tls.Close() }

package overlay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// counted is the end of a pipe that counts the writes that reach it.
type counted struct {
	net.Conn
	writes int
}

func (c *counted) Write(b []byte) (int, error) {
	c.writes++
	return c.Conn.Write(b)
}

// secured are two ends of an encrypted connection, and what is beneath the first.
func secured(t *testing.T) (a, b sec.SecureConn, beneath *counted) {
	t.Helper()
	near, far := net.Pipe()
	beneath = &counted{Conn: near}
	a, b = securedOver(t, beneath, far)
	return a, b, beneath
}

// securedOver encrypts what two ends of a wire say.
func securedOver(t *testing.T, near, far net.Conn) (a, b sec.SecureConn) {
	t.Helper()
	ends := make([]bulk, 2)
	ids := make([]peer.ID, 2)
	for i := range ends {
		key, err := crypto.UnmarshalPrivateKey(newKey().File())
		if err != nil {
			t.Fatal(err)
		}
		tr, err := tls.New(tls.ID, key, muxes())
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = bulk{tr}
		if ids[i], err = peer.IDFromPrivateKey(key); err != nil {
			t.Fatal(err)
		}
	}
	came := make(chan error, 1)
	go func() {
		var err error
		b, err = ends[1].SecureInbound(context.Background(), far, "")
		came <- err
	}()
	a, err := ends[0].SecureOutbound(context.Background(), near, ids[1])
	if err = errors.Join(err, <-came); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return a, b
}

// TestFramesGoOutWhole: every frame reaches the system with one call, and the other end reads
// what was written, whatever it reads with.
func TestFramesGoOutWhole(t *testing.T) {
	a, b, beneath := secured(t)
	random := rand.New(rand.NewPCG(1, 2))
	var want []byte
	var frames [][]byte
	for range 200 {
		f := make([]byte, 1+random.IntN(shortFrame))
		for i := range f {
			f[i] = byte(random.Uint32())
		}
		frames = append(frames, f)
		want = append(want, f...)
	}
	before := beneath.writes
	wrote := make(chan error, 1)
	go func() {
		for _, f := range frames {
			if n, err := a.Write(f); n != len(f) || err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	var got []byte
	buf := make([]byte, 40<<10)
	for len(got) < len(want) {
		n, err := b.Read(buf[:1+random.IntN(len(buf))])
		if got = append(got, buf[:n]...); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes than were written")
	}
	if n := beneath.writes - before; n > len(frames)+16 { // TLS keeps the first 128 KiB in small records
		t.Errorf("%d frames took %d writes", len(frames), n)
	}
}

// TestIdleHoldsNothing: a connection that has moved much and waits holds no buffer.
func TestIdleHoldsNothing(t *testing.T) {
	a, b, _ := secured(t)
	go a.Write(make([]byte, shortFrame))
	if _, err := io.ReadFull(b, make([]byte, shortFrame)); err != nil {
		t.Fatal(err)
	}
	if r := b.(*whole).records; r.in != nil {
		t.Error("the reader keeps a buffer")
	}
	go a.Write([]byte{1})
	if _, err := b.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if r := a.(*whole).records; r.out != nil {
		t.Error("the writer keeps a buffer")
	}
}

// TestCloseDoesNotWait: the end of a connection whose peer reads nothing comes at once. A
// member who is removed must not hold on by that.
func TestCloseDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _ := secured(t)
		ended := make(chan error, 1)
		go func() {
			_, err := a.Write(make([]byte, shortFrame))
			ended <- err
		}()
		synctest.Wait()
		begun := time.Now()
		a.Close()
		if err := <-ended; err == nil {
			t.Error("the write that nobody read went well")
		}
		if d := time.Since(begun); d > 0 {
			t.Errorf("closing took %v", d)
		}
	})
}

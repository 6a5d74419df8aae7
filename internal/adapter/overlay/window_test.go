package overlay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// far is one end of a wire that is long and as fast as can be.
type far struct {
	net.Conn // what is not used
	delay    time.Duration
	out, in  chan packet
	closed   chan struct{} // of both ends
	once     *sync.Once
	rest     []byte
}

// packet is what was written at once, and when it arrives.
type packet struct {
	due  time.Time
	data []byte
}

func farPair(delay time.Duration) (a, b *far) {
	x, y := make(chan packet, 1<<14), make(chan packet, 1<<14)
	closed, once := make(chan struct{}), new(sync.Once)
	return &far{delay: delay, out: x, in: y, closed: closed, once: once}, &far{delay: delay, out: y, in: x, closed: closed, once: once}
}

func (f *far) Write(b []byte) (int, error) {
	select {
	case <-f.closed:
		return 0, net.ErrClosed
	case f.out <- packet{time.Now().Add(f.delay), append([]byte(nil), b...)}:
		return len(b), nil
	}
}

func (f *far) Read(b []byte) (int, error) {
	for len(f.rest) == 0 {
		select {
		case <-f.closed:
			return 0, io.EOF
		case p := <-f.in:
			<-time.After(time.Until(p.due))
			f.rest = p.data
		}
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *far) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

func (f *far) SetDeadline(time.Time) error      { return nil }
func (f *far) SetReadDeadline(time.Time) error  { return nil }
func (f *far) SetWriteDeadline(time.Time) error { return nil }

// sessions are the two ends of a connection with streams over a wire of that round trip.
func sessions(t *testing.T, rtt time.Duration) (a, b *session) {
	t.Helper()
	near, away := farPair(rtt / 2)
	x, y := securedOver(t, near, away)
	made := func(w any, server bool) *session {
		c, err := multiplexer{newUnread()}.NewConn(w.(*whole), server, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*session)
	}
	return made(x, false), made(y, true)
}

// held is how much the host of a session counts as unread.
func held(s *session) int64 {
	s.ledger.all.mu.Lock()
	defer s.ledger.all.mu.Unlock()
	return s.ledger.all.total
}

// TestFarStreamIsFast: a stream over a long line uses it from the beginning, and goes on to
// the end.
func TestFarStreamIsFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessions(t, 100*time.Millisecond)
		const size = 64 << 20
		go func() {
			s, err := a.OpenStream(context.Background())
			if err == nil {
				_, err = s.Write(make([]byte, size))
			}
			if err != nil {
				t.Error(err)
			}
		}()
		s, err := b.AcceptStream()
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := io.ReadFull(s, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("64 MiB over a round trip of 100 ms took %v", d)
		}
		s.Close()
	})
}

// TestUnreadIsBounded: a peer that sends on many streams what nobody reads can make us hold
// only so much; when it is read all the rest comes, and nothing is counted for long.
func TestUnreadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessions(t, 100*time.Millisecond)
		const streams, size = 8, 6 << 20
		var wrote sync.WaitGroup
		for range streams {
			wrote.Go(func() {
				s, err := a.OpenStream(context.Background())
				if err == nil {
					_, err = s.Write(make([]byte, size))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		var all []network.MuxedStream
		for range streams {
			s, err := b.AcceptStream()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		<-time.After(5 * time.Second)
		if n := held(b); n < unreadMost/2 || n > unreadMost+usualFrame {
			t.Errorf("%d bytes are held, of at most %d", n, unreadMost)
		}
		var read sync.WaitGroup
		for _, s := range all {
			read.Go(func() {
				if _, err := io.ReadFull(s, make([]byte, size)); err != nil {
					t.Error(err)
				}
				s.Close()
			})
		}
		read.Wait()
		wrote.Wait()
		if n := held(b); n != 0 {
			t.Errorf("%d bytes are counted at the end", n)
		}
	})
}

// TestUnreadEnds: a connection that is not read from any further can be closed, and what a
// stream held is forgotten with it.
func TestUnreadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessions(t, 100*time.Millisecond)
		for range 5 {
			go func() {
				if s, err := a.OpenStream(context.Background()); err == nil {
					s.Write(make([]byte, 8<<20))
				}
			}()
		}
		s, err := b.AcceptStream()
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Second)
		before := held(b)
		s.Reset()
		if n := held(b); before < 4<<20 || n >= before-4<<20 {
			t.Errorf("%d bytes held, %d after the stream that was accepted is dropped", before, n)
		}
		begun := time.Now()
		b.Close()
		if d := time.Since(begun); d > time.Second || held(b) != 0 {
			t.Errorf("closing took %v and leaves %d bytes", d, held(b))
		}
		if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a dropped stream reads: %v", err)
		}
	})
}

// TestStreamsAreBounded: a peer that begins streams without end loses the connection.
func TestStreamsAreBounded(t *testing.T) {
	l := &ledger{all: newUnread(), streams: make(map[uint32]int64)}
	var err error
	for i := 0; err == nil && i <= liveStreams; i++ {
		err = l.came([]byte{0, 1, 0, 1, 0, 0, byte(i >> 8), byte(i), 0, 0, 0, 0})
	}
	if !errors.Is(err, errStreams) || len(l.streams) != liveStreams {
		t.Errorf("%d streams: %v", len(l.streams), err)
	}
}

// TestLedgerReadsFrames: frames are known however they are cut.
func TestLedgerReadsFrames(t *testing.T) {
	wire := []byte{0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o', // data, begins 7
		0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, // a ping, whose length is a number
		0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 'o', 'k',
		0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, '?'} // of a stream that is not
	for step := 1; step <= len(wire); step++ {
		l := &ledger{all: newUnread(), streams: make(map[uint32]int64)}
		for b := wire; len(b) > 0; {
			n := min(step, len(b))
			if err := l.came(b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		if l.total != 7 || l.streams[7] != 7 || len(l.streams) != 1 {
			t.Fatalf("in steps of %d: %d bytes, %v", step, l.total, l.streams)
		}
		l.read(7, 3)
		l.ended(7)
		if l.total != 0 || l.all.total != 0 {
			t.Fatalf("%d left", l.total)
		}
	}
}

// TestReadsWhatIsHere: one read takes all frames that have come, as far as there is room, and
// waits for none that has not; over a short line frames are large.
func TestReadsWhatIsHere(t *testing.T) {
	for rtt, frame := range map[time.Duration]int{2 * time.Millisecond: 256 << 10, 20 * time.Millisecond: 64 << 10} {
		t.Run(rtt.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { readsWhatIsHere(t, rtt, frame) })
		})
	}
}

func readsWhatIsHere(t *testing.T, rtt time.Duration, frame int) {
	a, b := sessions(t, rtt)
	want := make([]byte, 3*frame+3)
	for i := range want {
		want[i] = byte(i >> 10)
	}
	out, err := a.OpenStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { // the whole window is there once the stream is accepted
		_, err := out.Write(want)
		wrote <- err
	}()
	in, err := b.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Second)
	var got []byte
	reads := 0
	for buf := make([]byte, 2*frame); len(got) < len(want); reads++ {
		n, err := in.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes than were written")
	}
	if reads != 2 {
		t.Errorf("three frames that were here took %d reads of two frames each", reads)
	}
	began := time.Now()
	if _, err := out.Write([]byte("alone")); err != nil {
		t.Fatal(err)
	}
	if n, err := in.Read(make([]byte, 4*frame)); n != 5 || err != nil || time.Since(began) > rtt {
		t.Errorf("what came alone: %d bytes, %v, after %v", n, err, time.Since(began))
	}
	out.Close()
	if n, err := in.Read(make([]byte, 4*frame)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	in.Close()
}

// TestPartOfAFrame: a frame that has come in part is not there to be read.
func TestPartOfAFrame(t *testing.T) {
	l := &ledger{all: newUnread(), streams: make(map[uint32]int64)}
	head := func(id uint32, size int) []byte {
		b := make([]byte, frameHeader)
		b[3] = 1 // begins
		binary.BigEndian.PutUint32(b[4:], id)
		binary.BigEndian.PutUint32(b[8:], uint32(size))
		return b
	}
	for _, c := range []struct {
		what   string
		came   []byte
		unread [2]int64 // of streams 1 and 3, in whole frames
	}{
		{"half a frame", append(head(1, 100), make([]byte, 50)...), [2]int64{0, 0}},
		{"the other half", make([]byte, 50), [2]int64{100, 0}},
		{"a second frame but for a byte", append(head(1, 40), make([]byte, 39)...), [2]int64{100, 0}},
		{"its last byte, and some of another stream", append(append(make([]byte, 1), head(3, 7)...), 0), [2]int64{140, 0}},
		{"all of it", make([]byte, 6), [2]int64{140, 7}},
	} {
		if err := l.came(c.came); err != nil {
			t.Fatal(err)
		}
		if got := [2]int64{l.read(1, 0), l.read(3, 0)}; got != c.unread {
			t.Errorf("%s: %v are there, not %v", c.what, got, c.unread)
		}
	}
}

// TestManyFarStreams: a peer far away may have as many streams as one that is near.
func TestManyFarStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, away := farPair(150 * time.Millisecond)
		x, y := securedOver(t, near, away)
		rm, err := resources(nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rm.Close() })
		scope, err := rm.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/11.0.0.1/tcp/1"))
		if err == nil {
			err = scope.SetPeer("somebody")
		}
		if err != nil {
			t.Fatal(err)
		}
		var ends [2]*session
		for i, w := range []any{x, y} {
			c, err := multiplexer{newUnread()}.NewConn(w.(*whole), i == 1, scope.PeerScope())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ends[i] = c.(*session)
		}
		for i := range MaxPeerStreams {
			out, err := ends[0].OpenStream(context.Background())
			if err == nil {
				_, err = out.Write([]byte{byte(i)})
			}
			if err != nil {
				t.Fatalf("stream %d: %v", i, err)
			}
			in, err := ends[1].AcceptStream()
			if err == nil {
				_, err = io.ReadFull(in, make([]byte, 1))
			}
			if err != nil {
				t.Fatalf("stream %d: %v", i, err)
			}
		}
	})
}

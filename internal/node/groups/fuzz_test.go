package groups

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/group"
)

// framed puts lengths before parts.
func framed(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// feed writes bytes to a handler, reads what comes, and tells that the handler ends, on
// virtual time, though the other side neither reads on nor closes.
func feed(t *testing.T, serve func(Stream), from int, in []byte) {
	near, far := net.Pipe()
	done := make(chan bool)
	go func() {
		serve(stream{far, nodeID(from)})
		close(done)
	}()
	go near.Write(in)
	go func() {
		buf := make([]byte, 4096)
		for {
			if _, err := near.Read(buf); err != nil {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Minute):
		t.Error("the stream never ends")
	}
	near.Close()
	synctest.Wait()
}

// home is the file of a group of nodes 0 and 1.
var home = sync.OnceValue(func() []byte {
	raw, err := group.Begin(key(0), "home", [16]byte{1}, 1)
	if err != nil {
		return nil
	}
	l, err := group.NewLog(raw)
	if err != nil {
		return nil
	}
	if raw, err = l.Admit(key(0), nodeID(1), "node b", group.Member, 1); err != nil {
		return nil
	}
	l.Add(raw)
	return group.New(l).File()
})

// attacked is a node in a group with a member that is not there.
func attacked(t *testing.T, f func(a *host, g *group.Group)) {
	bubble(t, func(t *testing.T, w *world) {
		g, err := group.ParseFile(home())
		if err != nil {
			t.Fatal(err)
		}
		a := w.home(0)
		if err := errors.Join(os.MkdirAll(a.dir, 0o700), os.WriteFile(filepath.Join(a.dir, g.ID().String()), home(), 0o600)); err != nil {
			t.Fatal(err)
		}
		a.start()
		f(a, a.look().groups[g.ID()])
	})
}

func seeds(f *testing.F) {
	l, err := group.Begin(key(0), "home", [16]byte{1}, 1)
	if err != nil {
		f.Fatal(err)
	}
	hello := message{group: group.ID{1}, heads: []group.Hash{{2}}, entries: [][]byte{l}, contacts: [][]byte{[]byte("x")}}
	r := request{group: group.ID{1}, name: "x"}
	f.Add([]byte{})
	f.Add(framed(r.append(nil)))
	f.Add(append([]byte{1}, framed(hello.append(nil), hello.append(nil))...))
	f.Add(append([]byte{64}, framed([]byte("d1:p1:xe"))...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 0, 0x0f, 0xff, 0xff, 'd'})
}

func FuzzJoinStream(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		attacked(t, func(a *host, g *group.Group) {
			feed(t, a.HandleJoin, 7, in)
			if a.look().groups[g.ID()] != g {
				t.Error("bytes changed a group")
			}
		})
	})
}

func FuzzSyncStream(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		attacked(t, func(a *host, g *group.Group) {
			for _, from := range []int{7, 1} { // a stranger, a member
				feed(t, a.HandleSync, from, in)
			}
			if a.look().groups[g.ID()] != g {
				t.Error("bytes changed a group")
			}
		})
	})
}

// What an opener is answered is as little trusted.
func FuzzAnswer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		attacked(t, func(a *host, g *group.Group) {
			feed(t, func(st Stream) {
				fr := frames{st}
				for range 2 {
					if _, err := a.readAnswer(fr, nodeID(1), g.ID()); err != nil {
						break
					}
				}
				st.Close()
			}, 1, in)
		})
	})
}

func FuzzMessage(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		if m, err := parseMessage(in); err == nil {
			b := m.append(nil)
			again, err := parseMessage(b)
			if err != nil || !bytes.Equal(again.append(nil), b) {
				t.Errorf("%q is written as %q", in, b)
			}
		}
		if r, err := parseRequest(in); err == nil && !bytes.Equal(r.append(nil), in) {
			t.Errorf("%q is written otherwise", in)
		}
	})
}

// A claim of a long frame costs memory only as it comes; one too long nothing.
func TestClaimsCostNothing(t *testing.T) {
	attacked(t, func(a *host, g *group.Group) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 20 {
			<-time.After(time.Minute)
			feed(t, a.HandleSync, 1, []byte{64, 0, 0x10, 0, 0, 'd'})
			feed(t, a.HandleSync, 7, []byte{64, 0xff, 0xff, 0xff, 0xff, 'd'})
			feed(t, a.HandleJoin, 7, []byte{0x7f, 0xff, 0xff, 0xff, 'd'})
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%d bytes were allocated for claims", n)
		}
	})
}

// Whoever sends slowly or nothing is cut off after a bounded time.
func TestSilence(t *testing.T) {
	attacked(t, func(a *host, g *group.Group) {
		for name, serve := range map[string]func(Stream){"join": a.HandleJoin, "sync": a.HandleSync} {
			for _, from := range []int{1, 7} {
				began := time.Now()
				feed(t, serve, from, []byte{1})
				if d := time.Since(began); d > syncTime {
					t.Errorf("%s: ended after %v", name, d)
				}
			}
		}
	})
}

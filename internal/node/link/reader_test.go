package link

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
)

// scripted is a connection from which a text is read, at most step bytes at a time.
type scripted struct {
	net.Conn
	t    *testing.T
	text []byte
	step int
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(b) == 0 {
		s.t.Error("read into nothing")
		return 0, io.ErrShortBuffer // else the reader might go on for ever
	}
	if len(s.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.text[:min(len(s.text), s.step)])
	s.text = s.text[n:]
	return n, nil
}

// listener takes what a connection brings.
type listener struct {
	c     *Conn
	kinds []swarm.Kind
	data  int
	err   error
}

func (l *listener) Batch(b *Batch) bool {
	for i, e := range b.In.List {
		l.kinds = append(l.kinds, e.Kind)
		if e.Kind == swarm.GotBlock {
			l.data += len(b.Blocks[i].Data)
		}
	}
	b.Drop()
	l.c.Return(b)
	return true
}

func (l *listener) Wrote(int) bool                  { return true }
func (l *listener) Blocks([][]byte, int, int) error { return nil }
func (l *listener) Down(err error)                  { l.err = err }

// listen runs a connection that brings a text in steps, and returns what came of it.
func listen(t *testing.T, hot bool, step int, text ...[]byte) *listener {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	l := &listener{}
	pool := NewPool(func() {})
	l.c = New(&scripted{near, t, slices.Concat(text...), step}, wire.Handshake{}, true, l,
		&Shared{Pool: pool, Buffers: new(Buffers), Ctx: context.Background()})
	l.c.Expect(hot)
	l.c.Run()
	if pool.Used() != 0 {
		t.Errorf("%d bytes of chunks are still in use", pool.Used())
	}
	return l
}

func unknown(n int) []byte {
	return append([]byte{0, byte(n >> 16), byte(n >> 8), byte(n), 99}, make([]byte, n-1)...)
}

func piece(n int) []byte {
	return append(wire.PieceHeader{DataLen: n}.Append(nil), make([]byte, n)...)
}

// TestFramesOfAnyCut: whatever the reads bring, and whether blocks are expected or not, all
// messages come, in order.
func TestFramesOfAnyCut(t *testing.T) {
	choke := wire.AppendState(nil, wire.Choke)
	have := wire.HaveMsg{Piece: 1}.Append(nil)
	text := [][]byte{have, unknown(100_000), choke, piece(16 << 10), piece(16 << 10), have, piece(1), unknown(200_000),
		piece(100_000), make([]byte, 4), have}
	want := []swarm.Kind{swarm.GotHave, swarm.GotChoke, swarm.GotBlock, swarm.GotBlock, swarm.GotHave, swarm.GotBlock, swarm.GotBlock, swarm.GotHave}
	for _, hot := range []bool{false, true} {
		for _, step := range []int{1, 7, 1000, 16 << 10, 20_000, 1 << 20} {
			l := listen(t, hot, step, text...)
			if !slices.Equal(l.kinds, want) || l.data != 2<<14+1+100_000 || !errors.Is(l.err, ErrClosed) {
				t.Errorf("hot %t, %d bytes at a time: events %v, %d bytes of blocks, %v", hot, step, l.kinds, l.data, l.err)
			}
		}
	}
}

// TestFrameLongerThanItMayBe: the length is judged before anything is waited for.
func TestFrameLongerThanItMayBe(t *testing.T) {
	for _, hot := range []bool{false, true} {
		l := listen(t, hot, 100, []byte{0, 5, 0, 0, 99}, make([]byte, 1000))
		if !errors.Is(l.err, wire.ErrTooLong) {
			t.Errorf("hot %t: %v", hot, l.err)
		}
	}
}

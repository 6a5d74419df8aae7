package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

const pieceLen = 8 * wire.BlockLen

// memory is content in memory. Writes wait for gate while there is one.
type memory struct {
	mu   sync.Mutex
	data []byte
	gate chan struct{}
	err  error
	runs int // writes
}

func (m *memory) ReadAt(p []byte, piece, begin int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	copy(p, m.data[piece*pieceLen+begin:])
	return m.err
}

func (m *memory) WriteVec(bufs [][]byte, piece, begin int) error {
	if m.gate != nil {
		<-m.gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs++
	at := piece*pieceLen + begin
	for _, b := range bufs {
		at += copy(m.data[at:], b)
	}
	return m.err
}

// bench is a share of random bytes and what owns its Intake.
type bench struct {
	*Intake
	t     testing.TB
	m     *metainfo.Metainfo
	data  []byte
	disk  *memory
	pool  *link.Pool
	back  chan *Job
	tight bool
	gone  bool
}

func (b *bench) Content() Content {
	if b.gone {
		return nil
	}
	return b.disk
}
func (b *bench) Finished(j *Job) bool { b.back <- j; return true }
func (b *bench) Tight() bool          { return b.tight }

func start(t testing.TB, v metainfo.Version, size int) *bench {
	t.Helper()
	b := &bench{t: t, data: make([]byte, size), disk: &memory{}, back: make(chan *Job, 100), pool: link.NewPool(func() {})}
	r := rand.NewChaCha8([32]byte{1})
	if _, err := r.Read(b.data); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(path, b.data, 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.m, _, err = store.Create(context.Background(), path, store.CreateOptions{Version: v, PieceLength: pieceLen}); err != nil {
		t.Fatal(err)
	}
	b.disk.data = make([]byte, b.m.Info.NumPieces()*pieceLen)
	w := NewWorkers(2, new(link.Buffers))
	t.Cleanup(w.Close)
	b.Intake = New(w, b)
	return b
}

// block accepts a block that comes alone, with its first byte changed by flip.
func (b *bench) block(piece, i int, flip byte) {
	b.accept(piece, i, flip)
	b.Dispatch()
}

func (b *bench) accept(piece, i int, flip byte) {
	at := piece*pieceLen + i*wire.BlockLen
	data := bytes.Clone(b.data[at:min(at+wire.BlockLen, len(b.data))])
	data[0] ^= flip
	b.Accept(b.m, uint32(piece), uint32(i*wire.BlockLen), link.BlockRef{Data: data, Chunk: b.pool.Get(false)})
}

// settle takes jobs back until there are none, and returns the last outcome.
func (b *bench) settle() (out Outcome) {
	for b.Busy() > 0 {
		out = b.Done(<-b.back)
	}
	return out
}

// whole checks that a piece was found good, is on the disk, and that nothing is held.
func (b *bench) whole(out Outcome, piece int) {
	b.t.Helper()
	if !out.Judged || out.Piece != piece || !out.Verdict.Good() {
		b.t.Fatalf("outcome %+v", out)
	}
	lo, hi := piece*pieceLen, min((piece+1)*pieceLen, len(b.data))
	if !bytes.Equal(b.disk.data[lo:hi], b.data[lo:hi]) {
		b.t.Error("what is on the disk differs")
	}
	if b.Open(piece) || b.Held() != 0 {
		b.t.Errorf("open %t, %d bytes held", b.Open(piece), b.Held())
	}
	b.released()
}

// released checks that every chunk went back: the pool gives them all out again.
func (b *bench) released() {
	b.t.Helper()
	if b.pool.Used() != 0 {
		b.t.Errorf("%d bytes of chunks are still in use", b.pool.Used())
	}
}

func TestOrders(t *testing.T) {
	orders := map[string][]int{
		"in order": {0, 1, 2, 3, 4, 5, 6, 7}, "backwards": {7, 6, 5, 4, 3, 2, 1, 0}, "mixed": {3, 1, 0, 7, 2, 6, 5, 4}}
	for _, v := range []metainfo.Version{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		for name, order := range orders {
			for _, tight := range []bool{false, true} {
				t.Run(v.String()+" "+name, func(t *testing.T) {
					b := start(t, v, 2*pieceLen)
					b.tight = tight
					var out Outcome
					for _, i := range order {
						b.block(1, i, 0)
						b.Relieve()
						out = b.settle()
						if tight && b.Held() != 0 {
							t.Errorf("%d bytes held under pressure", b.Held())
						}
					}
					b.whole(out, 1)
					if out.Digests != nil {
						t.Error("digests of a good piece that nobody watched")
					}
				})
			}
		}
	}
}

// TestAtOnce: blocks that come at once are written at once, also where one of their pieces
// is forgotten in between.
func TestAtOnce(t *testing.T) {
	b := start(t, metainfo.V2, 3*pieceLen)
	for i := range 6 {
		b.accept(0, i, 0)
	}
	b.accept(1, 0, 0)
	b.Forget(1)
	for i := range 8 {
		b.accept(2, i, 0)
	}
	b.Dispatch()
	if b.settle(); b.disk.runs != 2 {
		t.Errorf("two runs of blocks took %d writes", b.disk.runs)
	}
	b.accept(0, 6, 0)
	b.accept(0, 7, 0)
	b.Dispatch()
	out := b.settle()
	if b.disk.runs != 3 {
		t.Errorf("the rest was written by %d writes", b.disk.runs-2)
	}
	b.whole(out, 0)
}

// TestShortPiece: the last piece ends within a block.
func TestShortPiece(t *testing.T) {
	for _, v := range []metainfo.Version{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		b := start(t, v, pieceLen+2*wire.BlockLen+5)
		for i := range 3 {
			b.block(1, i, 0)
		}
		b.whole(b.settle(), 1)
	}
}

// TestTwice: the same block a second time is let go.
func TestTwice(t *testing.T) {
	b := start(t, metainfo.V1, pieceLen)
	b.block(0, 5, 0)
	b.block(0, 5, 0)
	for i := range 8 {
		b.block(0, i, 0)
	}
	b.whole(b.settle(), 0)
}

// TestBlame: a bad piece brings the digests of what came, and when it is good later, those too.
func TestBlame(t *testing.T) {
	b := start(t, metainfo.V1, pieceLen)
	for i := range 8 {
		b.block(0, i, byte(i/7)) // the last is wrong
	}
	out := b.settle()
	if !out.Judged || out.Verdict.Good() || len(out.Digests) != 8*32 {
		t.Fatalf("outcome %+v", out)
	}
	bad := out.Digests
	for i := range 8 {
		b.block(0, i, 0)
	}
	out = b.settle()
	b.whole(out, 0)
	for i := range 8 {
		want := sha256.Sum256(b.data[i*wire.BlockLen : (i+1)*wire.BlockLen])
		if [32]byte(out.Digests[32*i:]) != want {
			t.Errorf("digest %d is not of the block", i)
		}
		if same := [32]byte(bad[32*i:]) == want; same != (i < 7) {
			t.Errorf("digest %d of the bad piece: same as of the good one: %t", i, same)
		}
	}
	for i := range 8 {
		b.block(0, i, 0)
	}
	if out := b.settle(); out.Digests != nil {
		t.Error("a piece that was good is watched still")
	}
}

// TestForgetWhileBusy: what is accepted after a piece was forgotten counts, although a
// worker still has blocks from before in hand.
func TestForgetWhileBusy(t *testing.T) {
	b := start(t, metainfo.Hybrid, pieceLen)
	b.disk.gate = make(chan struct{})
	b.block(0, 0, 1)
	b.block(0, 1, 1) // waits
	b.block(0, 3, 1)
	b.Forget(0)
	for i := range 8 {
		b.block(0, 7-i, 0)
	}
	close(b.disk.gate)
	b.whole(b.settle(), 0)
}

// TestForgetForGood: nothing stays of a piece that nobody goes on with.
func TestForgetForGood(t *testing.T) {
	b := start(t, metainfo.V1, pieceLen)
	b.disk.gate = make(chan struct{})
	b.block(0, 0, 0)
	b.block(0, 4, 0)
	b.ForgetAll()
	close(b.disk.gate)
	if out := b.settle(); out.Judged || out.Err != nil || b.Open(0) || b.Held() != 0 {
		t.Errorf("outcome %+v, open %t, %d held", out, b.Open(0), b.Held())
	}
	b.released()
}

// TestDiskFails: the piece is given up, with everything of it, and may begin anew.
func TestDiskFails(t *testing.T) {
	b := start(t, metainfo.V2, pieceLen)
	b.disk.gate = make(chan struct{})
	b.disk.err = errors.New("full")
	b.block(0, 0, 0)
	b.block(0, 1, 0)
	b.block(0, 6, 0)
	close(b.disk.gate)
	if out := b.settle(); out.Err != b.disk.err || b.Open(0) || b.Held() != 0 {
		t.Errorf("outcome %+v, open %t, %d held", out, b.Open(0), b.Held())
	}
	b.released()
	b.disk.err = nil
	for i := range 8 {
		b.block(0, i, 0)
	}
	b.whole(b.settle(), 0)
	b.gone = true
	b.block(0, 0, 0)
	if out := b.settle(); !errors.Is(out.Err, ErrGone) {
		t.Errorf("without content: %+v", out)
	}
}

// TestRunsAreWrittenTogether: neighbours that wait go to the disk with one call.
func TestRunsAreWrittenTogether(t *testing.T) {
	b := start(t, metainfo.V2, pieceLen)
	for i := 7; i >= 0; i-- {
		b.block(0, i, 0)
	}
	b.whole(b.settle(), 0)
	if b.disk.runs != 1 {
		t.Errorf("%d writes", b.disk.runs)
	}
}

// BenchmarkAccept is the whole cost of a block but for the disk. It must not allocate.
func BenchmarkAccept(b *testing.B) {
	x := start(b, metainfo.V2, pieceLen)
	b.SetBytes(wire.BlockLen)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		at := n % 8 * wire.BlockLen
		x.Accept(x.m, 0, uint32(at), link.BlockRef{Data: x.data[at : at+wire.BlockLen], Chunk: x.pool.Get(false)})
		x.Dispatch()
		x.settle()
	}
}

// TestQueueIsBounded: a queue that is never empty does not grow with what has passed.
func TestQueueIsBounded(t *testing.T) {
	w := NewWorkers(0, new(link.Buffers))
	for i := range 10_000 {
		w.Run(func() {})
		if i > 1 && w.next() == nil {
			t.Fatal("a job is lost")
		}
	}
	if n := cap(w.queue); n > 4*keepIdle {
		t.Errorf("room for %d jobs where three waited at most", n)
	}
}

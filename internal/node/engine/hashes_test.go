package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/hashes"
)

// TestLayersInRuns fetches layers that take several requests, one of them with a layer at
// the leaves, one above.
func TestLayersInRuns(t *testing.T) {
	for _, piece := range []int64{16 << 10, 32 << 10} {
		path := filepath.Join(t.TempDir(), "content")
		writeFile(t, path, int(1025*piece)+1)
		a, b := startNode(t), startNode(t)
		m := a.share(path, store.CreateOptions{Version: metainfo.V2, PieceLength: piece})
		dir := b.fetch(Spec{Magnet: magnet(m.Hash)}, a)
		b.waitDone(m.Hash)
		sameTree(t, path, filepath.Join(dir, "content"))
		sameTorrent(t, b, m)
	}
}

// TestSameContentTwice: files of the same root need their layer once.
func TestSameContentTwice(t *testing.T) {
	root := filepath.Join(t.TempDir(), "content")
	for _, dir := range []string{"a", "b", "c"} {
		writeFile(t, filepath.Join(root, dir, "same"), 10*testPiece+1)
	}
	a, b := startNode(t), startNode(t)
	m := a.share(root, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	dir := b.fetch(Spec{Magnet: magnet(m.Hash)}, a)
	b.waitDone(m.Hash)
	sameTree(t, root, filepath.Join(dir, "content"))
	sameTorrent(t, b, m)
}

// TestLayersOfV1Link: a link that knows the v1 hash alone makes v1 connections, on which
// no hashes may be asked for. The layers follow from the data; the .torrent is whole.
func TestLayersOfV1Link(t *testing.T) {
	path := content(t, false)
	a, b := startNode(t), startNode(t)
	m := a.share(path, store.CreateOptions{PieceLength: testPiece})
	dir := b.fetch(Spec{Magnet: magnet(metainfo.InfoHash{V1: m.Hash.V1, Version: metainfo.V1})}, a)
	b.waitDone(m.Hash)
	sameTree(t, path, filepath.Join(dir, "content"))
	sameTorrent(t, b, m)
}

// TestSelectOfLink: layers of files that are not wanted hold nothing up.
func TestSelectOfLink(t *testing.T) {
	path := content(t, false)
	a, b := startNode(t), startNode(t)
	m := a.share(path, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	dir := b.fetch(Spec{Magnet: magnet(m.Hash), Select: []string{"file-65537"}}, a)
	b.waitDone(m.Hash)
	want, err := os.ReadFile(filepath.Join(path, "0", "file-65537"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "content", "0", "file-65537"))
	if err != nil || string(got) != string(want) {
		t.Errorf("wrong bytes: %v", err)
	}
}

// TestDataBeforeLayers: data that lies there already is judged once the layers come, and
// not fetched again.
func TestDataBeforeLayers(t *testing.T) {
	path := content(t, true)
	a, b := startNode(t), startNode(t)
	m := a.share(path, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	dir := t.TempDir()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "content"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	b.fetch(Spec{Magnet: magnet(m.Hash), Dir: dir}, a)
	if st := b.waitDone(m.Hash); st.Downloaded != 0 {
		t.Errorf("%d bytes were fetched although all were there", st.Downloaded)
	}
	sameTorrent(t, b, m)
}

// TestRestartWithoutLayers: a node that ended before the layers came goes on.
func TestRestartWithoutLayers(t *testing.T) {
	path := content(t, true)
	m, _, err := store.Create(t.Context(), path, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	if err != nil {
		t.Fatal(err)
	}
	l := rawListener(t)
	home, dir := t.TempDir(), t.TempDir()
	b := startNodeAt(t, home)
	b.fetch(Spec{Magnet: magnet(m.Hash), Dir: dir, Peers: []string{l.Addr().String()}})
	p := acceptRaw(t, l, m.Hash.V2Short())
	p.describe(m)
	if _, _, ok := p.next(wire.HashRequest); !ok {
		t.Fatal("no hashes were asked for")
	}
	if _, err := b.Torrent(m.Hash.ID()); err == nil {
		t.Error("a .torrent without its layers is given out")
	}
	b.stop()

	a, again := startNode(t), startNodeAt(t, home)
	if _, err := a.Add(Spec{Meta: m, Dir: filepath.Dir(path), InPlace: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := again.AddPeers(m.Hash.ID(), []string{a.addr()}); err != nil {
		t.Fatal(err)
	}
	again.waitDone(m.Hash)
	sameTree(t, path, filepath.Join(dir, "content"))
	sameTorrent(t, again, m)
}

// TestBadHashes: who sends a proof that does not lead to the root is banned, and another
// peer is asked.
func TestBadHashes(t *testing.T) {
	path := content(t, true)
	a, b := startNode(t), startNode(t)
	m := a.share(path, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	l := rawListener(t)
	dir := b.fetch(Spec{Magnet: magnet(m.Hash), Peers: []string{l.Addr().String()}})
	p := acceptRaw(t, l, m.Hash.V2Short())
	p.describe(m)
	_, body, ok := p.next(wire.HashRequest)
	if !ok {
		t.Fatal("no hashes were asked for")
	}
	q, err := wire.ParseHashRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	p.send(wire.HashesMsg{HashRange: q.HashRange, Data: make([]byte, 32*(int(q.Length)+q.Uncles()))}.Append(nil))
	if id, _, ok := p.next(wire.Request, wire.HashRequest); ok {
		t.Errorf("the liar was sent message %d instead of being dropped", id)
	}
	b.wait("the ban", func(e Event) bool {
		return e.Kind == EventPenalised && e.Reason == "bad_hashes" && e.Action == "ban"
	})
	if _, err := b.AddPeers(m.Hash.ID(), []string{a.addr()}); err != nil {
		t.Fatal(err)
	}
	b.waitDone(m.Hash)
	sameTree(t, path, filepath.Join(dir, "content"))
}

// TestServeHashes asks a seed for layers and leaves of a large and a small file.
func TestServeHashes(t *testing.T) {
	root := filepath.Join(t.TempDir(), "content")
	writeFile(t, filepath.Join(root, "large"), 5*testPiece+16385)
	writeFile(t, filepath.Join(root, "small"), 16385)
	a := startNode(t)
	m := a.share(root, store.CreateOptions{PieceLength: testPiece})
	large, small := m.Info.Files[0].Root, [32]byte{}
	for _, f := range m.Info.Files {
		if f.Length == 16385 && !f.Pad {
			small = f.Root
		}
	}
	p := dialRaw(t, a, m.Hash.V1) // answered under the v2 name
	for _, tc := range []struct {
		root   [32]byte
		height int
		r      metainfo.HashRange
		ok     bool
	}{
		{large, 5, metainfo.HashRange{Base: 2, Length: 8, ProofLayers: 2}, true},
		{large, 5, metainfo.HashRange{Base: 2, Index: 4, Length: 2, ProofLayers: 2}, true},
		{large, 5, metainfo.HashRange{Base: 0, Length: 4, ProofLayers: 4}, true},
		{large, 5, metainfo.HashRange{Base: 0, Index: 20, Length: 4, ProofLayers: 4}, true},  // the short piece
		{large, 5, metainfo.HashRange{Base: 0, Index: 28, Length: 4, ProofLayers: 4}, false}, // padding alone
		{large, 5, metainfo.HashRange{Base: 0, Length: 32, ProofLayers: 4}, true},
		{large, 5, metainfo.HashRange{Base: 1, Length: 2, ProofLayers: 3}, false}, // a layer between
		{large, 5, metainfo.HashRange{Base: 2, Index: 8, Length: 8, ProofLayers: 2}, false},
		{small, 1, metainfo.HashRange{Base: 0, Length: 2, ProofLayers: 0}, true},
		{[32]byte{1}, 5, metainfo.HashRange{Base: 2, Length: 8, ProofLayers: 2}, false},
	} {
		r := wireRange(tc.root, tc.r)
		p.send(wire.HashRequestMsg{HashRange: r}.Append(nil))
		id, body, ok := p.next(wire.Hashes, wire.HashReject)
		if !ok {
			t.Fatal("the connection was closed")
		}
		if tc.ok != (id == wire.Hashes) {
			t.Errorf("%+v: message %d", tc.r, id)
			continue
		}
		if !tc.ok {
			if got, err := wire.ParseHashReject(body); err != nil || got.HashRange != r {
				t.Errorf("%+v: rejected %+v %v", tc.r, got, err)
			}
			continue
		}
		got, err := wire.ParseHashes(body)
		if err != nil || got.HashRange != r {
			t.Fatalf("%+v: %+v %v", tc.r, got.HashRange, err)
		}
		hashes := make([][32]byte, got.Count())
		for i := range hashes {
			hashes[i] = got.Hash(i)
		}
		if err := metainfo.VerifyProof(tc.root, tc.height, tc.r, hashes); err != nil {
			t.Errorf("%+v: %v", tc.r, err)
		}
	}
}

// TestHashFlood: requests beyond what one peer may have waiting are rejected, every one is
// answered, and the node goes on.
func TestHashFlood(t *testing.T) {
	path := content(t, true)
	a := startNode(t)
	m := a.share(path, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	p := dialRaw(t, a, m.Hash.V2Short())
	r := wireRange(m.Info.Files[0].Root, metainfo.HashRange{Length: 4, ProofLayers: 8})
	const n = 500
	var b []byte
	for range n {
		b = wire.HashRequestMsg{HashRange: r}.Append(b)
	}
	p.send(b)
	served, rejected := 0, 0
	for served+rejected < n {
		id, _, ok := p.next(wire.Hashes, wire.HashReject)
		if !ok {
			t.Fatalf("the connection ended after %d answers and %d rejects", served, rejected)
		}
		if id == wire.Hashes {
			served++
		} else {
			rejected++
		}
	}
	if served < hashes.MaxAsks || rejected == 0 {
		t.Errorf("%d answered, %d rejected", served, rejected)
	}
}

// TestSmartBan: a piece of four blocks comes from two peers, one block of it wrong. The
// leaf hashes that a v2 peer is asked for tell which, and so who sent it.
func TestSmartBan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, testPiece)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := store.Create(t.Context(), path, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	if err != nil {
		t.Fatal(err)
	}
	l1, l2 := rawListener(t), rawListener(t)
	b := startNode(t)
	dir := b.fetch(Spec{Meta: m, Peers: []string{l1.Addr().String()}})
	liar := acceptRaw(t, l1, m.Hash.V2Short())
	seeding := make(chan struct{}, 2)
	ended, hashed := make(chan struct{}, 2), make(chan struct{}, 1)
	run := func(p *rawPeer, answer func(q wire.RequestMsg) []byte) {
		defer func() { ended <- struct{}{} }()
		for {
			id, body, ok := p.next(wire.Request, wire.HashRequest)
			if !ok {
				return
			}
			if id == wire.HashRequest {
				p.leaves(body, data)
				select {
				case hashed <- struct{}{}:
				default:
				}
				continue
			}
			q, err := wire.ParseRequest(body)
			if err != nil {
				t.Error(err)
				return
			}
			out := answer(q)
			if out == nil {
				out = wire.RejectMsg(q).Append(nil)
				select {
				case seeding <- struct{}{}:
				default:
				}
			}
			if _, err := p.nc.Write(out); err != nil {
				return
			}
		}
	}
	block := func(q wire.RequestMsg, flip byte) []byte {
		out := wire.PieceHeader{Piece: q.Piece, Begin: q.Begin, DataLen: int(q.Length)}.Append(nil)
		out = append(out, data[q.Begin:q.Begin+q.Length]...)
		out[len(out)-1] ^= flip
		return out
	}
	liar.send(wire.AppendState(wire.AppendState(nil, wire.HaveAll), wire.Unchoke))
	go run(liar, func(q wire.RequestMsg) []byte {
		switch q.Begin {
		case 0:
			return block(q, 1)
		case 16384:
			return block(q, 0)
		}
		return nil
	})
	<-seeding
	if _, err := b.AddPeers(m.Hash.ID(), []string{l2.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	honest := acceptRaw(t, l2, m.Hash.V2Short())
	honest.send(wire.AppendState(wire.AppendState(nil, wire.HaveAll), wire.Unchoke))
	go run(honest, func(q wire.RequestMsg) []byte {
		if q.Begin == 0 { // again, for it was bad: the good piece would tell as well who lied
			select {
			case h := <-hashed:
				hashed <- h
			case <-time.After(longest):
			}
		}
		return block(q, 0)
	})
	e := b.wait("the ban", func(e Event) bool { return e.Kind == EventPenalised && e.Action == "ban" })
	if e.Reason != "bad_block" || e.Peer.String() != l1.Addr().String() {
		t.Errorf("banned %s for %s, not %s", e.Peer, e.Reason, l1.Addr())
	}
	b.waitDone(m.Hash)
	sameTree(t, path, filepath.Join(dir, "content"))
	b.stop()
	<-ended
	<-ended
	if len(hashed) == 0 {
		t.Error("no leaf hashes were asked for")
	}
}

// leaves answers a request for the leaf hashes of a file that fits in one piece.
func (p *rawPeer) leaves(body, data []byte) {
	q, err := wire.ParseHashRequest(body)
	if err != nil || q.Base != 0 || q.Index != 0 || int(q.Length) != len(data)/16384 {
		p.t.Errorf("asked for %+v: %v", q, err)
		return
	}
	m := wire.HashesMsg{HashRange: q.HashRange}
	for at := 0; at < len(data); at += 16384 {
		h := metainfo.LeafHash(data[at : at+16384])
		m.Data = append(m.Data, h[:]...)
	}
	if _, err := p.nc.Write(m.Append(nil)); err != nil {
		p.t.Error(err)
	}
}

// wireRange is a range as it goes over the wire.
func wireRange(root [32]byte, r metainfo.HashRange) wire.HashRange {
	return wire.HashRange{Root: root, Base: uint32(r.Base), Index: uint32(r.Index), Length: uint32(r.Length), ProofLayers: uint32(r.ProofLayers)}
}

// TestProgressWithoutLayers: while piece hashes lack nothing can be fetched, and that is not
// to have everything.
func TestProgressWithoutLayers(t *testing.T) {
	x := make1(t, 5*testPiece, store.CreateOptions{Version: metainfo.V2})
	n, l := startNode(t), rawListener(t)
	n.fetch(Spec{Magnet: magnet(x.meta.Hash), Peers: []string{l.Addr().String()}})
	p := acceptRaw(t, l, x.meta.Hash.V2Short())
	p.describe(x.meta)
	st := *n.wait("fetching", func(e Event) bool { return e.Status != nil && e.Status.State == Fetching && e.Status.Pieces > 0 }).Status
	now, err := n.Status(x.meta.Hash.ID())
	if err != nil || st.Done != 0 || now.Done != 0 || now.Complete {
		t.Errorf("%d, then %d of %d bytes are there, %v", st.Done, now.Done, now.Wanted, err)
	}
}

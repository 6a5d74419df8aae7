//go:build linux

package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// maxPacket is the longest packet on the wire, and maxAway how many may be on it: more than
// a link of this length holds.
const (
	maxPacket = 1 << 11
	maxAway   = 1 << 14
)

// relay is a long wire: what comes in at one end leaves at the other later, in order, and
// some of it not at all.
type relay struct {
	loss       float64
	lost, seen [2]atomic.Int64 // packets, by direction
}

// packet is one that is under way.
type packet struct {
	due  time.Time
	data []byte
}

// newRelay joins two TUN interfaces until they close. Each way takes delay and loses that
// share of packets, which are the same ones in each run.
func newRelay(a, b *os.File, delay time.Duration, loss float64) *relay {
	r := &relay{loss: loss}
	for i, ends := range [][2]*os.File{{a, b}, {b, a}} {
		away := make(chan packet, maxAway)
		go r.take(ends[0], away, delay, i)
		go deliver(ends[1], away)
	}
	return r
}

// take reads packets as they leave.
func (r *relay) take(from *os.File, away chan<- packet, delay time.Duration, way int) {
	defer close(away)
	chance := rand.New(rand.NewPCG(uint64(way), 1))
	buf := make([]byte, maxPacket)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		r.seen[way].Add(1)
		if chance.Float64() < r.loss {
			r.lost[way].Add(1)
			continue
		}
		select {
		case away <- packet{time.Now().Add(delay), append([]byte(nil), buf[:n]...)}:
		default:
			r.lost[way].Add(1)
		}
	}
}

// deliver hands packets over when they are due.
func deliver(to *os.File, away <-chan packet) {
	t := time.NewTimer(0)
	defer t.Stop()
	for p := range away {
		if d := time.Until(p.due); d > 0 {
			t.Reset(d)
			<-t.C
		}
		// An interface that is down, or full, loses packets.
		_, _ = to.Write(p.data)
	}
}

var errShort = errors.New("the connection ended early")

// send writes so many bytes that cannot be made smaller.
func send(c net.Conn, size int64) error {
	buf := make([]byte, 1<<18)
	rand.NewChaCha8([32]byte{1}).Read(buf)
	for size > 0 {
		n, err := c.Write(buf[:min(size, int64(len(buf)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// receive reads so many bytes.
func receive(c net.Conn, size int64) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{io.LimitReader(c, size)}, make([]byte, 1<<18))
	if err == nil && n < size {
		err = errShort
	}
	return err
}

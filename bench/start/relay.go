//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// relay stands between a leech and a seed and notes when the leech connected and when
// the first block of content passed. It only reads lengths and message ids.
type relay struct {
	ln        net.Listener
	seed      string
	connected chan time.Time
	block     chan time.Time
}

const (
	handshakeLength = 68
	pieceMessage    = 7
	longestMessage  = 32 << 20 // a bitfield or metadata would be smaller
)

var errNotPeerProtocol = errors.New("the stream is not the peer protocol")

// newRelay listens at addr for one leech of a seed.
func newRelay(addr, seed string) (*relay, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	r := &relay{ln: ln, seed: seed, connected: make(chan time.Time, 1), block: make(chan time.Time, 1)}
	go r.serve()
	return r, nil
}

// serve takes connections until the listener closes; the first that carries a block
// counts.
func (r *relay) serve() {
	for {
		leech, err := r.ln.Accept()
		if err != nil {
			return
		}
		note(r.connected)
		seed, err := net.Dial("tcp", r.seed)
		if err != nil {
			leech.Close()
			continue
		}
		go func() {
			defer seed.Close()
			_, _ = io.Copy(seed, leech) // ends with either side
		}()
		go func() {
			defer leech.Close()
			_ = r.watch(leech, seed) // ends with either side
		}()
	}
}

// watch forwards what the seed sends and looks at each message's id.
func (r *relay) watch(leech io.Writer, seed io.Reader) error {
	in := bufio.NewReaderSize(seed, 64<<10)
	if _, err := io.CopyN(leech, in, handshakeLength); err != nil {
		return err
	}
	for {
		head, err := in.Peek(4)
		if err != nil {
			return err
		}
		length := int64(binary.BigEndian.Uint32(head))
		if length > longestMessage {
			return errNotPeerProtocol
		}
		if length > 0 {
			head, err = in.Peek(5)
			if err != nil {
				return err
			}
			if head[4] == pieceMessage {
				note(r.block)
			}
		}
		if _, err := io.CopyN(leech, in, 4+length); err != nil {
			return err
		}
	}
}

// note remembers the first time something happened.
func note(c chan time.Time) {
	select {
	case c <- time.Now():
	default:
	}
}

package members

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"shoal/internal/core/group"
)

// The bytes of the protocols are described in docs/formats/overlay.md.

// errFrame says that a peer sent what is no message of the protocol.
var errFrame = errors.New("members: not a message of the protocol")

// note is a message of AskProtocol: 1 for yes (I look for it; it is here), 0 for no.
type note struct {
	yes  bool
	hash [20]byte
}

// noteSize is the bytes of a note.
const noteSize = 1 + 20

// append writes the note.
func (n note) append(dst []byte) []byte {
	b := byte(0)
	if n.yes {
		b = 1
	}
	return append(append(dst, b), n.hash[:]...)
}

// readNote reads one, and nothing after it.
func readNote(r io.Reader) (n note, err error) {
	var b [noteSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return n, err
	}
	if b[0] > 1 {
		return n, errFrame
	}
	n.yes = b[0] == 1
	copy(n.hash[:], b[1:])
	return n, nil
}

// maxDatagram is the most bytes of a message in a group's DHT.
const maxDatagram = 8 << 10

// appendDatagram writes a message of DHTProtocol: its length and itself.
func appendDatagram(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(b))), b...)
}

// readDatagram reads one into buf, which has maxDatagram bytes.
func readDatagram(r io.Reader, buf []byte) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n == 0 || n > maxDatagram {
		return nil, errFrame
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}

// readGroup reads what a stream of DHTProtocol begins with.
func readGroup(r io.Reader) (g group.ID, err error) {
	_, err = io.ReadFull(r, g[:])
	return g, err
}

// pace bounds how fast a peer's messages are taken: rate a second, and burst at once. Who
// sends more is not read from until it is due.
type pace struct {
	rate, burst float64
	have        float64
	last        time.Time
}

func newPace(rate, burst float64) *pace {
	return &pace{rate: rate, burst: burst, have: burst, last: time.Now()}
}

// wait returns when one more may be taken; false: ctx ended.
func (p *pace) wait(ctx context.Context) bool {
	now := time.Now()
	p.have = min(p.burst, p.have+now.Sub(p.last).Seconds()*p.rate)
	p.last = now
	p.have--
	if p.have >= 0 {
		return true
	}
	t := time.NewTimer(time.Duration(-p.have / p.rate * float64(time.Second)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

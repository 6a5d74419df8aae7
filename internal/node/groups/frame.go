package groups

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"shoal/internal/core/bencode"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Bounds of what goes over a stream.
const (
	maxFrame    = 1 << 20
	maxRequest  = 512
	maxHello    = 64 << 10 // of who shares no group with this node
	maxHeads    = 64       // told of one list: who has more lists is sent more than it lacks
	maxContacts = 33
	frameTime   = 10 * time.Second // for one frame either way
)

// errFrame says that bytes are no frame of these protocols: a kind of errWrong.
var errFrame = fmt.Errorf("%w: not a frame", errWrong)

// frames reads and writes frames: a length of four bytes, big-endian, and that many bytes.
type frames struct{ st Stream }

func (f frames) write(b []byte) error {
	f.st.SetWriteDeadline(time.Now().Add(frameTime))
	_, err := f.st.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// read reads a frame of at most limit bytes. Memory grows with what has come, never with
// what was claimed.
func (f frames) read(limit int) ([]byte, error) {
	f.st.SetReadDeadline(time.Now().Add(frameTime))
	var head [4]byte
	if _, err := io.ReadFull(f.st, head[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > int64(limit) {
		return nil, errFrame
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, f.st, n); err != nil {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return b.Bytes(), nil
}

// message is what one frame of the sync protocol says of one group.
type message struct {
	group    group.ID
	heads    []group.Hash
	entries  [][]byte
	contacts [][]byte
	prove    bool // the sender does not know who it talks to as a member: nothing else is in it
}

// append writes a dictionary of a (contacts), e (entries), g (group), h (heads) and p
// (prove), each only if there is something to say.
func (m *message) append(b []byte) []byte {
	b = append(b, 'd')
	b = appendList(b, 'a', m.contacts)
	b = appendList(b, 'e', m.entries)
	b = append(b, "1:g"...)
	b = bencode.AppendString(b, m.group[:])
	if len(m.heads) > 0 {
		b = append(b, "1:h"...)
		b = bencode.AppendString(b, joined(m.heads))
	}
	if m.prove {
		b = append(b, "1:pi1e"...)
	}
	return append(b, 'e')
}

func appendList(b []byte, key byte, list [][]byte) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, '1', ':', key, 'l')
	for _, x := range list {
		b = bencode.AppendString(b, x)
	}
	return append(b, 'e')
}

func joined(heads []group.Hash) []byte {
	var b []byte
	for _, h := range heads {
		b = append(b, h[:]...)
	}
	return b
}

// parseMessage reads what append wrote; the lists are parts of b.
func parseMessage(b []byte) (m message, err error) {
	v, err := bencode.Parse(b, bencode.Limits{Depth: 3, Tokens: group.MaxEntries + maxContacts + 64})
	if err != nil || v.Kind() != bencode.Dict {
		return m, errFrame
	}
	id, _ := v.Get("g").Bytes()
	heads, _ := v.Get("h").Bytes()
	if len(id) != len(m.group) || len(heads)%len(group.Hash{}) != 0 || len(heads) > maxHeads*len(group.Hash{}) {
		return m, errFrame
	}
	m.group = group.ID(id)
	for i := 0; i < len(heads); i += len(group.Hash{}) {
		m.heads = append(m.heads, group.Hash(heads[i:]))
	}
	p, _ := v.Get("p").Int()
	m.prove = p == 1
	m.entries, m.contacts = listOf(v.Get("e")), listOf(v.Get("a"))
	if len(m.entries) > group.MaxEntries || len(m.contacts) > maxContacts {
		return m, errFrame
	}
	return m, nil
}

func listOf(v bencode.Value) (list [][]byte) {
	for x := range v.Items() {
		b, _ := x.Bytes()
		list = append(list, b)
	}
	return list
}

// request asks to be let in.
type request struct {
	group  group.ID
	ticket group.TicketID
	name   string
	proof  [32]byte
}

func (r *request) append(b []byte) []byte {
	b = append(b, "d1:g"...)
	b = bencode.AppendString(b, r.group[:])
	b = append(b, "1:i"...)
	b = bencode.AppendString(b, r.ticket[:])
	b = append(b, "1:n"...)
	b = bencode.AppendString(b, r.name)
	b = append(b, "1:p"...)
	b = bencode.AppendString(b, r.proof[:])
	return append(b, 'e')
}

func parseRequest(b []byte) (r request, err error) {
	v, err := bencode.Parse(b, bencode.Limits{Depth: 2, Tokens: 16})
	if err != nil {
		return r, errFrame
	}
	id, _ := v.Get("g").Bytes()
	ticket, _ := v.Get("i").Bytes()
	name, _ := v.Get("n").Bytes()
	proof, _ := v.Get("p").Bytes()
	copy(r.group[:], id)
	copy(r.ticket[:], ticket)
	copy(r.proof[:], proof)
	r.name = string(name)
	if !bytes.Equal(r.append(nil), b) {
		return r, errFrame
	}
	return r, nil
}

// refusal is the answer to every request that does not lead in.
var refusal = append(bencode.AppendString([]byte("d1:r"), group.ErrTicket.Error()), 'e')

// headsOf are the heads of a list as they are told and compared.
func headsOf(g *group.Group) []group.Hash {
	h := g.Heads()
	return h[:min(len(h), maxHeads)]
}

// fitting are the addresses that can be told.
func fitting(addrs []group.Address) (fit []group.Address) {
	for _, a := range addrs {
		if a.Fits() && !ident.IsOverlay(a.At.Addr()) && len(fit) < group.MaxAddrs {
			fit = append(fit, a)
		}
	}
	return fit
}

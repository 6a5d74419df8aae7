//go:build linux

package lab

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// captureLimit bounds what one capture keeps.
const captureLimit = 256 << 20

// capture is every packet that a namespace sends, receives or forwards.
type capture struct {
	s    *space
	fd   int
	done chan struct{}

	mu    sync.Mutex
	bytes int
	flows map[flow]*talk
	other []byte // packets that are neither TCP nor UDP over IP, one after the other
	count int
	over  bool
}

// flow is one direction between two ports.
type flow struct {
	proto    byte
	from, to netip.AddrPort
}

func (f flow) String() string {
	name := map[byte]string{unix.IPPROTO_TCP: "TCP", unix.IPPROTO_UDP: "UDP"}[f.proto]
	return fmt.Sprintf("%s %s to %s", name, f.from, f.to)
}

// talk is what was said in a flow: of TCP with sequence numbers.
type talk struct{ parts []part }

type part struct {
	seq  uint32
	data []byte
}

// capture begins to listen on every interface of the namespace, those that come later too.
func (s *space) capture() *capture {
	s.t.Helper()
	c := &capture{s: s, done: make(chan struct{}), flows: map[flow]*talk{}}
	must(s.t, s.in(func() (err error) {
		all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
		if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		// Only root of the whole machine may force it; whole tells when it was not enough.
		if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 128<<20) != nil {
			_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 128<<20)
		}
		wait := unix.NsecToTimeval(int64(50 * time.Millisecond))
		return unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	}))
	stop := make(chan struct{})
	go c.read(stop)
	s.t.Cleanup(func() {
		close(stop)
		<-c.done
		unix.Close(c.fd)
	})
	return c
}

func (c *capture) read(stop chan struct{}) {
	defer close(c.done)
	buf := make([]byte, 128<<10)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENETDOWN) {
			continue
		}
		if err != nil {
			return
		}
		c.mu.Lock()
		c.add(bytes.Clone(buf[:n]))
		c.mu.Unlock()
	}
}

// add files a packet.
func (c *capture) add(b []byte) {
	if c.bytes += len(b); c.bytes > captureLimit {
		c.over = true
		return
	}
	c.count++
	f, p, ok := dissect(b)
	if !ok {
		c.other = append(append(c.other, b...), 0)
		return
	}
	if c.flows[f] == nil {
		c.flows[f] = new(talk)
	}
	c.flows[f].parts = append(c.flows[f].parts, p)
}

// dissect finds what a TCP or UDP packet over Ethernet carries.
func dissect(b []byte) (f flow, p part, ok bool) {
	if len(b) < 14 {
		return
	}
	var from, to netip.Addr
	switch ip := b[14:]; binary.BigEndian.Uint16(b[12:]) {
	case unix.ETH_P_IP:
		if len(ip) < 20 || len(ip) < int(ip[0]&15)*4 || binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 {
			return
		}
		from, to, f.proto = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:])), ip[9]
		if total := int(binary.BigEndian.Uint16(ip[2:])); total >= 20 && total < len(ip) {
			ip = ip[:total] // Ethernet pads short ones
		}
		b = ip[int(ip[0]&15)*4:]
	case unix.ETH_P_IPV6:
		if len(ip) < 40 {
			return
		}
		from, to, f.proto = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:])), ip[6]
		b = ip[40:]
	default:
		return
	}
	head := 8
	switch {
	case f.proto == unix.IPPROTO_TCP && len(b) >= 20:
		p.seq = binary.BigEndian.Uint32(b[4:])
		head = int(b[12]>>4) * 4
	case f.proto != unix.IPPROTO_UDP || len(b) < 8:
		return
	}
	if len(b) < head {
		return
	}
	f.from = netip.AddrPortFrom(from, binary.BigEndian.Uint16(b))
	f.to = netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:]))
	p.data = b[head:]
	return f, p, true
}

// text is all that was said, of TCP in the order of the bytes, each once.
func (f flow) text(t *talk) []byte {
	parts := slices.Clone(t.parts)
	if f.proto != unix.IPPROTO_TCP || len(parts) == 0 {
		return slices.Concat(datagrams(parts)...)
	}
	first := parts[0].seq
	slices.SortStableFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(int32(a.seq-first), int32(b.seq-first)), cmp.Compare(len(b.data), len(a.data)))
	})
	var out []byte
	next := parts[0].seq
	for _, p := range parts {
		skip := int32(next - p.seq)
		if len(p.data) == 0 || skip >= int32(len(p.data)) {
			continue
		}
		next = p.seq + uint32(len(p.data))
		out = append(out, p.data[max(skip, 0):]...)
	}
	return out
}

// datagrams keeps the end of one from seeming to go on in the next.
func datagrams(parts []part) (all [][]byte) {
	for _, p := range parts {
		all = append(all, p.data, []byte{0})
	}
	return all
}

// search tells in which flows each of some byte strings was seen, in the order of the flows.
func (c *capture) search(needles map[string][]byte) (found []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := slices.Sorted(maps.Keys(needles))
	for _, f := range slices.SortedFunc(maps.Keys(c.flows), func(a, b flow) int { return cmp.Compare(a.String(), b.String()) }) {
		text := f.text(c.flows[f])
		for _, name := range names {
			if i := bytes.Index(text, needles[name]); i >= 0 {
				found = append(found, fmt.Sprintf("%s: %s in %s: %q", c.s.name, name, f, text[max(i-40, 0):min(i+len(needles[name])+40, len(text))]))
			}
		}
	}
	for _, name := range names {
		if bytes.Contains(c.other, needles[name]) {
			found = append(found, fmt.Sprintf("%s: %s in a packet that is neither TCP nor UDP", c.s.name, name))
		}
	}
	return found
}

// whole fails when packets were missed: then an absence would prove nothing. It returns
// how many there were.
func (c *capture) whole() int {
	c.s.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	st, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	must(c.s.t, err)
	if st.Drops > 0 || c.over {
		c.s.t.Errorf("%s: the capture is not whole: %d packets dropped, more than %d bytes: %v", c.s.name, st.Drops, captureLimit, c.over)
	}
	return c.count
}

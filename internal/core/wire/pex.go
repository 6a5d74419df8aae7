package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"shoal/internal/core/bencode"
)

// MaxPEX is the largest number of added peers, of both address families together,
// that is taken from or put into one message; the same holds for dropped ones
// (BEP 11). A first message may be longer: what exceeds MaxPEX is left out.
const MaxPEX = 50

// The flags of an added peer (BEP 11).
const (
	PEXEncrypt   byte = 0x01 // prefers encryption
	PEXSeed      byte = 0x02 // seed or upload only
	PEXUTP       byte = 0x04 // supports µTP
	PEXHolePunch byte = 0x08 // supports ut_holepunch
	PEXReachable byte = 0x10 // the sender dialled it
)

// PEXPeer is a peer that the sender is connected to.
type PEXPeer struct {
	Addr  netip.AddrPort
	Flags byte
}

// PEX tells whom the sender has connected to and lost since its last message
// (BEP 11). Addresses are claims of a stranger: what may be dialled is judged
// above. IPv4 addresses are never in their IPv6-mapped form.
type PEX struct {
	Added   []PEXPeer
	Dropped []netip.AddrPort
}

// ParsePEX reads the body of a peer exchange message. Flags whose number is not
// that of the peers are read as none. At most MaxPEX of each list are kept, and
// if there are more, each address family has at least half of the places.
func ParsePEX(body []byte) (PEX, error) {
	d, err := bencode.Parse(body, extLimits)
	if err != nil {
		return PEX{}, fmt.Errorf("%w: peer exchange: %w", ErrMalformed, err)
	}
	if d.Kind() != bencode.Dict {
		return PEX{}, fmt.Errorf("%w: peer exchange is no dictionary", ErrMalformed)
	}
	var p PEX
	added4, err4 := compactList(d, "added", 4)
	added6, err6 := compactList(d, "added6", 16)
	dropped4, errD4 := compactList(d, "dropped", 4)
	dropped6, errD6 := compactList(d, "dropped6", 16)
	for _, err := range []error{err4, err6, errD4, errD6} {
		if err != nil {
			return PEX{}, err
		}
	}
	flags4, flags6 := pexFlags(d, "added.f", len(added4)/6), pexFlags(d, "added6.f", len(added6)/18)
	n4, n6 := pexShare(len(added4)/6, len(added6)/18)
	for i := range n4 {
		p.Added = append(p.Added, PEXPeer{compactAddr(added4, i, 4), flagAt(flags4, i)})
	}
	for i := range n6 {
		p.Added = append(p.Added, PEXPeer{compactAddr(added6, i, 16), flagAt(flags6, i)})
	}
	n4, n6 = pexShare(len(dropped4)/6, len(dropped6)/18)
	for i := range n4 {
		p.Dropped = append(p.Dropped, compactAddr(dropped4, i, 4))
	}
	for i := range n6 {
		p.Dropped = append(p.Dropped, compactAddr(dropped6, i, 16))
	}
	return p, nil
}

// compactList is a string of addresses of size bytes, each with its port (BEP 23,
// BEP 7); an absent one is empty.
func compactList(d bencode.Value, key string, size int) ([]byte, error) {
	v := d.Get(key)
	if v.Kind() == bencode.Invalid {
		return nil, nil
	}
	b, ok := v.Bytes()
	if !ok || len(b)%(size+2) != 0 {
		return nil, fmt.Errorf("%w: peer exchange: %s of %d bytes", ErrMalformed, key, len(b))
	}
	return b, nil
}

func pexFlags(d bencode.Value, key string, n int) []byte {
	if f, ok := d.Get(key).Bytes(); ok && len(f) == n {
		return f
	}
	return nil
}

func flagAt(flags []byte, i int) byte {
	if flags == nil {
		return 0
	}
	return flags[i]
}

// pexShare divides MaxPEX places among n4 and n6 peers of the address families.
func pexShare(n4, n6 int) (int, int) {
	n4 = min(n4, max(MaxPEX/2, MaxPEX-n6))
	return n4, min(n6, MaxPEX-n4)
}

func compactAddr(b []byte, i, size int) netip.AddrPort {
	b = b[i*(size+2) : (i+1)*(size+2)]
	addr, _ := netip.AddrFromSlice(b[:size])
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[size:]))
}

// Append appends the whole message under the id that the peer gave ut_pex. Lists
// that would be empty are left out, but for "added" where all are.
func (p PEX) Append(dst []byte, ext byte) []byte {
	added := p.Added[:min(len(p.Added), MaxPEX)]
	dropped := p.Dropped[:min(len(p.Dropped), MaxPEX)]
	start := len(dst)
	dst = append(beginExtended(dst, ext), 'd')
	dst = appendAdded(dst, "added", added, true, len(dropped) == 0 && len(added) == 0)
	dst = appendAdded(dst, "added6", added, false, false)
	dst = appendDropped(dst, "dropped", dropped, true)
	dst = appendDropped(dst, "dropped6", dropped, false)
	return endExtended(append(dst, 'e'), start)
}

// appendAdded appends the peers of one address family and their flags.
func appendAdded(dst []byte, key string, peers []PEXPeer, v4, always bool) []byte {
	var addrs, flags []byte
	for _, p := range peers {
		if addr := p.Addr.Addr().Unmap(); addr.Is4() == v4 {
			addrs = appendAddrPort(addrs, p.Addr)
			flags = append(flags, p.Flags)
		}
	}
	if len(flags) == 0 && !always {
		return dst
	}
	dst = bencode.AppendString(bencode.AppendString(dst, key), addrs)
	if len(flags) == 0 {
		return dst
	}
	return bencode.AppendString(bencode.AppendString(dst, key+".f"), flags)
}

func appendDropped(dst []byte, key string, peers []netip.AddrPort, v4 bool) []byte {
	var addrs []byte
	for _, p := range peers {
		if p.Addr().Unmap().Is4() == v4 {
			addrs = appendAddrPort(addrs, p)
		}
	}
	if len(addrs) == 0 {
		return dst
	}
	return bencode.AppendString(bencode.AppendString(dst, key), addrs)
}

// appendAddrPort appends an address in compact form: 4 or 16 bytes, then the port.
func appendAddrPort(dst []byte, p netip.AddrPort) []byte {
	dst = append(dst, p.Addr().Unmap().AsSlice()...)
	return binary.BigEndian.AppendUint16(dst, p.Port())
}

package wire

import (
	"fmt"
	"net/netip"

	"shoal/internal/core/bencode"
)

const (
	// MaxMetadata is the largest info dictionary that is fetched from peers, in
	// bytes (BEP 9).
	MaxMetadata = 16 << 20

	maxVersionLen = 128   // bytes of "v" that are kept
	maxReqQ       = 65535 // more is read as this
)

// extLimits bound the dictionaries of extended messages: ours have two levels,
// unknown extensions may add some.
var extLimits = bencode.Limits{Depth: 16, Tokens: 4096}

// ExtHandshake tells what extensions a peer takes and some facts about it
// (BEP 10). Zero values mean that the peer said nothing, or nothing usable: a
// value of the wrong type or out of range is read as absent.
type ExtHandshake struct {
	M            Extensions
	Port         uint16     // p: the port it listens on
	Version      string     // v: name and version as sent, at most 128 bytes; show Client()
	YourIP       netip.Addr // yourip: our address as the peer sees it; a claim
	IPv4, IPv6   netip.Addr // other addresses of the peer; claims
	ReqQ         int        // reqq: requests it queues without dropping any
	MetadataSize int64      // metadata_size, bytes, at most MaxMetadata (BEP 9)
	UploadOnly   bool       // upload_only: it wants nothing (BEP 21)
	Encrypt      bool       // e: it prefers obfuscated connections
}

// ParseExtHandshake reads the body of a peer's first extended handshake.
func ParseExtHandshake(body []byte) (ExtHandshake, error) {
	var h ExtHandshake
	err := h.Update(body)
	return h, err
}

// Update takes a further handshake in: what it doesn't mention stays as it was,
// an extension with id 0 is switched off (BEP 10).
func (h *ExtHandshake) Update(body []byte) error {
	d, err := bencode.Parse(body, extLimits)
	if err != nil {
		return fmt.Errorf("%w: extended handshake: %w", ErrMalformed, err)
	}
	if d.Kind() != bencode.Dict {
		return fmt.Errorf("%w: extended handshake is no dictionary", ErrMalformed)
	}
	h.updateExtensions(d.Get("m"))
	if p, ok := d.Get("p").Int(); ok && p > 0 && p <= 65535 {
		h.Port = uint16(p)
	}
	if v, ok := d.Get("v").Bytes(); ok {
		h.Version = string(v[:min(len(v), maxVersionLen)])
	}
	if q, ok := d.Get("reqq").Int(); ok && q > 0 {
		h.ReqQ = int(min(q, maxReqQ))
	}
	if n, ok := d.Get("metadata_size").Int(); ok && n > 0 && n <= MaxMetadata {
		h.MetadataSize = n
	}
	if u, ok := d.Get("upload_only").Int(); ok {
		h.UploadOnly = u != 0
	}
	if e, ok := d.Get("e").Int(); ok {
		h.Encrypt = e != 0
	}
	if a := compactIP(d.Get("yourip")); a.IsValid() {
		h.YourIP = a
	}
	if a := compactIP(d.Get("ipv4")); a.Is4() {
		h.IPv4 = a
	}
	if a := compactIP(d.Get("ipv6")); a.Is6() {
		h.IPv6 = a
	}
	return nil
}

func (h *ExtHandshake) updateExtensions(m bencode.Value) {
	for _, x := range h.M.names() {
		if id, ok := m.Get(x.name).Int(); ok && id >= 0 && id <= 255 {
			*x.id = byte(id)
		}
	}
}

type namedExtension struct {
	name string
	id   *byte
}

// names lists the extensions as "m" spells them, sorted.
func (e *Extensions) names() [5]namedExtension {
	return [...]namedExtension{
		{"lt_donthave", &e.DontHave},
		{"upload_only", &e.UploadOnly},
		{"ut_holepunch", &e.HolePunch},
		{"ut_metadata", &e.Metadata},
		{"ut_pex", &e.PEX},
	}
}

// compactIP reads an address of 4 or 16 bytes; one of anything else is not valid.
func compactIP(v bencode.Value) netip.Addr {
	b, _ := v.Bytes()
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap()
}

// Client is the name and version that the peer gives itself, printable ASCII of
// at most 40 bytes; empty if it gave none.
func (h *ExtHandshake) Client() string { return printableASCII(h.Version, maxClientName) }

// Append appends the whole message. Absent fields are left out; "m" is always
// there.
func (h *ExtHandshake) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(beginExtended(dst, ExtHandshakeID), 'd')
	if h.Encrypt {
		dst = appendIntPair(dst, "e", 1)
	}
	dst = appendAddrPair(dst, "ipv4", h.IPv4)
	dst = appendAddrPair(dst, "ipv6", h.IPv6)
	dst = append(bencode.AppendString(dst, "m"), 'd')
	for _, x := range h.M.names() {
		if *x.id != 0 {
			dst = appendIntPair(dst, x.name, int64(*x.id))
		}
	}
	dst = append(dst, 'e')
	if h.MetadataSize > 0 {
		dst = appendIntPair(dst, "metadata_size", h.MetadataSize)
	}
	if h.Port > 0 {
		dst = appendIntPair(dst, "p", int64(h.Port))
	}
	if h.ReqQ > 0 {
		dst = appendIntPair(dst, "reqq", int64(h.ReqQ))
	}
	if h.UploadOnly {
		dst = appendIntPair(dst, "upload_only", 1)
	}
	if h.Version != "" {
		dst = bencode.AppendString(bencode.AppendString(dst, "v"), h.Version)
	}
	dst = appendAddrPair(dst, "yourip", h.YourIP)
	return endExtended(append(dst, 'e'), start)
}

func appendIntPair(dst []byte, key string, n int64) []byte {
	return bencode.AppendInt(bencode.AppendString(dst, key), n)
}

func appendAddrPair(dst []byte, key string, a netip.Addr) []byte {
	if !a.IsValid() {
		return dst
	}
	return bencode.AppendString(bencode.AppendString(dst, key), a.AsSlice())
}

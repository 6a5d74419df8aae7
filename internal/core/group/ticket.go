package group

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"

	"shoal/internal/core/ident"
)

// SecretSize is the bytes of a ticket's secret.
const SecretSize = 16

// Bounds of a ticket.
const (
	MaxTicketAddrs = MaxAddrs
	maxTicketText  = 2048
	ticketFormat   = 1
	sumSize        = 8
)

// TicketScheme begins a ticket's text.
const TicketScheme = "shoal:join/"

// ErrTicket is the one answer to every ticket that does not lead in, so that nobody
// learns from the answer what was wrong with it.
var ErrTicket = errors.New("group: the ticket is not valid, or not any more")

// Address is a way to a node: straight, or through the relay of another node.
type Address struct {
	At  netip.AddrPort // TCP and UDP alike
	Via ident.NodeID   // the relay that listens at At; zero: the node itself does
}

// Ticket is an invitation to a group. Whoever holds it can use it: it is a secret.
type Ticket struct {
	Group   ID
	Inviter ident.NodeID
	Secret  [SecretSize]byte
	Expires uint32 // unix seconds by the inviter's clock
	Uses    uint16 // how often it can be redeemed, for showing: the inviter counts
	Name    string // of the group, for showing before joining
	Addrs   []Address
}

// TicketID names a ticket without giving it away.
type TicketID [16]byte

// ID names the ticket.
func (t *Ticket) ID() TicketID { return IDOfSecret(t.Secret) }

// IDOfSecret names the ticket with this secret.
func IDOfSecret(secret [SecretSize]byte) TicketID {
	sum := sha256.Sum256(append([]byte("shoal ticket\x00"), secret[:]...))
	return TicketID(sum[:16])
}

// Proof shows that who redeems a ticket holds its secret, to the inviter alone and for
// this node alone.
func Proof(secret [SecretSize]byte, g ID, inviter, joiner ident.NodeID) [sha256.Size]byte {
	m := hmac.New(sha256.New, secret[:])
	m.Write([]byte("shoal join\x00"))
	m.Write(g[:])
	m.Write(inviter[:])
	m.Write(joiner[:])
	return [sha256.Size]byte(m.Sum(nil))
}

// Code is what inviter and joiner compare aloud: it differs when either is not who the
// other takes it for.
func (t *Ticket) Code(joiner ident.NodeID) string {
	return ident.Code([]byte("join"), t.Group[:], t.Secret[:], t.Inviter[:], joiner[:])
}

// Tickets are written in base32 of RFC 4648 without padding, so that a QR code takes the
// upper-case form in its dense alphanumeric mode.
var ticketText = base32.StdEncoding.WithPadding(base32.NoPadding)

// String is the ticket as a link: TicketScheme and base32 of its bytes, in lower case.
func (t *Ticket) String() string {
	return TicketScheme + strings.ToLower(ticketText.EncodeToString(t.bytes()))
}

// bytes are: format (1), group (32), inviter (32), secret (16), expiry (4), uses (2), name
// (1 + n), number of addresses (1), addresses, and the first 8 bytes of SHA-256 of all of it.
// An address is a kind (bit 0: IPv6, bit 1: a relay's), 4 or 16 bytes, a port (2) and, of a
// relay, its key (32). Numbers are big-endian.
func (t *Ticket) bytes() []byte {
	b := []byte{ticketFormat}
	b = append(b, t.Group[:]...)
	b = append(b, t.Inviter[:]...)
	b = append(b, t.Secret[:]...)
	b = binary.BigEndian.AppendUint32(b, t.Expires)
	b = binary.BigEndian.AppendUint16(b, t.Uses)
	b = append(b, byte(len(t.Name)))
	b = append(b, t.Name...)
	b = append(b, byte(len(t.Addrs)))
	for _, a := range t.Addrs {
		b = a.append(b)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:sumSize]...)
}

func (a *Address) append(b []byte) []byte {
	kind := byte(0)
	if a.At.Addr().Is6() {
		kind |= 1
	}
	if !a.Via.IsZero() {
		kind |= 2
	}
	b = append(b, kind)
	b = append(b, a.At.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, a.At.Port())
	if !a.Via.IsZero() {
		b = append(b, a.Via[:]...)
	}
	return b
}

// ParseTicket reads what String wrote, in either case and with blanks around it. Anything
// else is ErrTicket: one byte changed is found out by the sum.
func ParseTicket(s string) (Ticket, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxTicketText || len(s) < len(TicketScheme) || !strings.EqualFold(s[:len(TicketScheme)], TicketScheme) {
		return Ticket{}, ErrTicket
	}
	s = s[len(TicketScheme):]
	// The decoder passes over line ends; a ticket has none.
	if strings.ContainsAny(s, "\r\n") {
		return Ticket{}, ErrTicket
	}
	b, err := ticketText.DecodeString(upper(s))
	if err != nil || ticketText.EncodeToString(b) != upper(s) {
		return Ticket{}, ErrTicket
	}
	return parseTicket(b)
}

// upper is strings.ToUpper for ASCII alone: others have letters that become one.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func parseTicket(b []byte) (Ticket, error) {
	const fixed = 1 + 32 + 32 + SecretSize + 4 + 2
	var t Ticket
	if len(b) < fixed+2+sumSize || b[0] != ticketFormat {
		return t, ErrTicket
	}
	body := b[:len(b)-sumSize]
	if sum := sha256.Sum256(body); string(sum[:sumSize]) != string(b[len(body):]) {
		return t, ErrTicket
	}
	copy(t.Group[:], body[1:])
	copy(t.Inviter[:], body[33:])
	copy(t.Secret[:], body[65:])
	t.Expires = binary.BigEndian.Uint32(body[81:])
	t.Uses = binary.BigEndian.Uint16(body[85:])
	rest := body[fixed:]
	n := int(rest[0])
	if len(rest) < 1+n+1 {
		return Ticket{}, ErrTicket
	}
	t.Name = string(rest[1 : 1+n])
	rest = rest[1+n:]
	addrs := int(rest[0])
	rest = rest[1:]
	if addrs > MaxTicketAddrs || !NameFits(t.Name) || t.Inviter.IsZero() {
		return Ticket{}, ErrTicket
	}
	for range addrs {
		a, left, ok := parseAddress(rest)
		if !ok {
			return Ticket{}, ErrTicket
		}
		t.Addrs, rest = append(t.Addrs, a), left
	}
	if len(rest) > 0 {
		return Ticket{}, ErrTicket
	}
	return t, nil
}

func parseAddress(b []byte) (a Address, rest []byte, ok bool) {
	if len(b) == 0 || b[0] > 3 {
		return a, nil, false
	}
	size, relayed := 4, b[0]&2 != 0
	if b[0]&1 != 0 {
		size = 16
	}
	n := 1 + size + 2
	if len(b) < n || relayed && len(b) < n+len(a.Via) {
		return a, nil, false
	}
	ip, _ := netip.AddrFromSlice(b[1 : 1+size])
	a.At = netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[1+size:]))
	if !a.Fits() {
		return a, nil, false
	}
	if relayed {
		copy(a.Via[:], b[n:])
		n += len(a.Via)
		if a.Via.IsZero() {
			return a, nil, false
		}
	}
	return a, b[n:], true
}

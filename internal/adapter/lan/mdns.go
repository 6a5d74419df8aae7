package lan

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"shoal/internal/core/ident"
)

// The names of RFC 6763.
const (
	serviceName = "_shoal._udp.local."
	metaName    = "_services._dns-sd._udp.local." // §9: which services are there
	addrKey     = "dnsaddr="                      // begins a TXT string, as libp2p has it
)

// The bounds of one message of multicast DNS.
const (
	maxMDNS      = 4096 // bytes that are read; RFC 6762 §17 allows 9,000, which no node here needs
	maxQuestions = 64
	maxRecords   = 256
	maxTexts     = 32 // strings of a TXT record that are looked at
	maxKnown     = 16 // known answers of one query, of up to 78 bytes each
	maxOwnAddrs  = 3  // addresses that are told: two strings of up to 130 bytes each
)

// Times to live in seconds (RFC 6762 §10): of a record that names the host or its
// addresses, and of the rest.
const (
	hostTTL    = 120
	serviceTTL = 75 * 60
)

// cacheFlush is the top bit of the class of a record that only one node has (RFC 6762
// §10.2).
const cacheFlush = 1 << 15

// errMDNS says that bytes are no message of multicast DNS, or one that is too large.
var errMDNS = errors.New("lan: no message of multicast DNS")

// mdnsMessage is what a message says about our service; other services are passed over.
type mdnsMessage struct {
	Response bool
	Service  bool     // query: who offers our service?
	Meta     bool     // query: which services are there?
	Names    []string // query: of these names below our service, or hosts, in lower case
	Known    []string // query: instances that the asker knows already (RFC 6762 §7.1)
	Gone     []string // response: instances that said goodbye (RFC 6762 §10.1)
	Nodes    []mdnsNode
}

// mdnsNode is what one instance says of itself: a claim.
type mdnsNode struct {
	Instance string // its whole name
	ID       ident.NodeID
	Addrs    []netip.AddrPort // without zones, each once
}

// parseMDNS reads a message. Names are compared without regard to case (RFC 6762 §16).
func parseMDNS(b []byte) (mdnsMessage, error) {
	var m mdnsMessage
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || len(b) > maxMDNS || h.OpCode != 0 || h.RCode != 0 { // §18.3, §18.11
		return m, errMDNS
	}
	m.Response = h.Response
	for n := 0; ; n++ {
		q, err := p.Question()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil || n == maxQuestions {
			return m, errMDNS
		}
		if !m.Response {
			m.question(q)
		}
	}
	left := maxRecords
	if !m.records(&p, p.AnswerHeader, p.SkipAnswer, &left) {
		return m, errMDNS
	}
	if !m.Response {
		return m, nil // what follows in a query is of no use here
	}
	if p.SkipAllAuthorities() != nil || !m.records(&p, p.AdditionalHeader, p.SkipAdditional, &left) {
		return m, errMDNS
	}
	return m, nil
}

// question takes one question.
func (m *mdnsMessage) question(q dnsmessage.Question) {
	if c := q.Class &^ cacheFlush; c != dnsmessage.ClassINET && c != dnsmessage.ClassANY {
		return
	}
	name := strings.ToLower(q.Name.String())
	ptr := q.Type == dnsmessage.TypePTR || q.Type == dnsmessage.TypeALL
	switch {
	case name == serviceName:
		m.Service = m.Service || ptr
	case name == metaName:
		m.Meta = m.Meta || ptr
	default:
		m.Names = append(m.Names, name)
	}
}

// records walks a section; false if it is malformed or has too much.
func (m *mdnsMessage) records(p *dnsmessage.Parser, next func() (dnsmessage.ResourceHeader, error), skip func() error, left *int) bool {
	for {
		h, err := next()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return true
		}
		if *left--; err != nil || *left < 0 {
			return false
		}
		name := strings.ToLower(h.Name.String())
		switch {
		case h.Class&^cacheFlush != dnsmessage.ClassINET:
			err = skip()
		case h.Type == dnsmessage.TypePTR && name == serviceName:
			var r dnsmessage.PTRResource
			if r, err = p.PTRResource(); err == nil {
				m.pointer(r.PTR.String(), h.TTL)
			}
		case h.Type == dnsmessage.TypeTXT && m.Response && h.TTL > 0 && strings.HasSuffix(name, "."+serviceName):
			var r dnsmessage.TXTResource
			if r, err = p.TXTResource(); err == nil {
				m.text(h.Name.String(), r.TXT)
			}
		default:
			err = skip()
		}
		if err != nil {
			return false
		}
	}
}

// pointer takes a record that names an instance.
func (m *mdnsMessage) pointer(instance string, ttl uint32) {
	switch {
	case m.Response && ttl == 0:
		m.Gone = append(m.Gone, instance)
	case !m.Response && ttl >= serviceTTL/2:
		m.Known = append(m.Known, strings.ToLower(instance))
	}
}

// text takes an instance's TXT record. Strings that are no addresses of a node are
// passed over; one that speaks of two nodes speaks of none.
func (m *mdnsMessage) text(instance string, texts []string) {
	n := mdnsNode{Instance: instance}
	for _, s := range texts[:min(len(texts), maxTexts)] {
		addr, id, ok := parseAddr(s)
		if !ok {
			continue
		}
		if !n.ID.IsZero() && id != n.ID {
			return
		}
		n.ID = id
		if !slices.Contains(n.Addrs, addr) {
			n.Addrs = append(n.Addrs, addr)
		}
	}
	if len(n.Addrs) > 0 {
		m.Nodes = append(m.Nodes, n)
	}
}

// appendAddr writes the two TXT strings of an address: TCP and QUIC share the port.
func appendAddrs(texts []string, a netip.AddrPort, id ident.NodeID) []string {
	ip := "/ip4/"
	if a.Addr().Is6() {
		ip = "/ip6/"
	}
	ip += a.Addr().WithZone("").String()
	port := strconv.Itoa(int(a.Port()))
	return append(texts, addrKey+ip+"/tcp/"+port+"/p2p/"+id.String(), addrKey+ip+"/udp/"+port+"/quic-v1/p2p/"+id.String())
}

// parseAddr reads one such string; other transports and names for hosts are not taken.
func parseAddr(s string) (addr netip.AddrPort, id ident.NodeID, ok bool) {
	s, ok = strings.CutPrefix(s, addrKey+"/ip")
	f := strings.Split(s, "/")
	if len(f) == 7 && f[2] == "udp" && f[4] == "quic-v1" {
		f = slices.Delete(f, 4, 5)
	} else if len(f) != 6 || f[2] != "tcp" {
		return addr, id, false
	}
	if !ok || f[4] != "p2p" {
		return addr, id, false
	}
	ip, err := netip.ParseAddr(f[1])
	if err != nil || ip.Zone() != "" || ip.Is4In6() || f[0] != "4" && f[0] != "6" || (f[0] == "4") != ip.Is4() {
		return addr, id, false
	}
	port, err := strconv.ParseUint(f[3], 10, 16)
	if err != nil || port == 0 || f[3][0] == '0' {
		return addr, id, false
	}
	id, err = ident.ParseNodeID(f[5])
	return netip.AddrPortFrom(ip, uint16(port)), id, err == nil && !id.IsZero()
}

// service is what a node says of itself on one link.
type service struct {
	instance string // one label of 1 to 63 letters and digits, of no meaning
	id       ident.NodeID
	port     uint16
	addrs    []netip.Addr
}

// name is the whole name of the instance.
func (s service) name() string { return s.instance + "." + serviceName }

// host is the name of the host: one of no meaning too, for the real one is nobody's
// business.
func (s service) host() string { return s.instance + ".local." }

// appendQuery asks who offers the service; known are the instances that are not to
// answer, ourselves among them, so that we don't answer ourselves (RFC 6762 §7.1).
func appendQuery(dst []byte, known []string) ([]byte, error) {
	b := dnsmessage.NewBuilder(dst, dnsmessage.Header{})
	b.EnableCompression()
	name, err := dnsmessage.NewName(serviceName)
	if err != nil {
		return nil, err
	}
	err = errors.Join(b.StartQuestions(),
		b.Question(dnsmessage.Question{Name: name, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}), b.StartAnswers())
	for _, k := range known[:min(len(known), maxKnown)] {
		instance, bad := dnsmessage.NewName(k)
		err = errors.Join(err, bad, b.PTRResource(dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: serviceTTL},
			dnsmessage.PTRResource{PTR: instance}))
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

// appendAnswer writes all that a node says of itself: PTR, SRV, TXT, A and AAAA (RFC
// 6763 §4 to §6). With meta it tells the service's own name too, with gone it takes all
// back.
func appendAnswer(dst []byte, s service, meta, gone bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(dst, dnsmessage.Header{Response: true, Authoritative: true})
	b.EnableCompression()
	var bad error
	head := func(name string, class dnsmessage.Class, ttl uint32) dnsmessage.ResourceHeader {
		n, err := dnsmessage.NewName(name)
		bad = errors.Join(bad, err)
		if gone {
			ttl = 0
		}
		return dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET | class, TTL: ttl}
	}
	mine, host := head(s.name(), cacheFlush, hostTTL), head(s.host(), cacheFlush, hostTTL)
	addrs := s.addrs[:min(len(s.addrs), maxOwnAddrs)]
	var texts []string
	for _, a := range addrs {
		texts = appendAddrs(texts, netip.AddrPortFrom(a, s.port), s.id)
	}
	err := errors.Join(b.StartAnswers(),
		b.PTRResource(head(serviceName, 0, serviceTTL), dnsmessage.PTRResource{PTR: mine.Name}),
		b.SRVResource(mine, dnsmessage.SRVResource{Port: s.port, Target: host.Name}),
		b.TXTResource(mine, dnsmessage.TXTResource{TXT: texts}))
	for _, a := range addrs {
		if a.Is4() {
			err = errors.Join(err, b.AResource(host, dnsmessage.AResource{A: a.As4()}))
		} else {
			err = errors.Join(err, b.AAAAResource(host, dnsmessage.AAAAResource{AAAA: a.As16()}))
		}
	}
	if meta {
		h := head(metaName, 0, serviceTTL)
		service := head(serviceName, 0, 0)
		err = errors.Join(err, b.PTRResource(h, dnsmessage.PTRResource{PTR: service.Name}))
	}
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	return b.Finish()
}

package lan

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// The names of RFC 6763.
const (
	serviceName = "_shoal._udp.local."
	metaName    = "_services._dns-sd._udp.local." // §9: which services are there
	tagsKey     = "tags="                         // begins the TXT string that has the tags
)

// The bounds of one message of multicast DNS.
const (
	maxMDNS      = 4096 // bytes that are read; RFC 6762 §17 allows 9,000, which no node here needs
	maxQuestions = 64
	maxRecords   = 256
	maxTexts     = 32 // strings of a TXT record that are looked at
	maxKnown     = 16 // known answers of one query, of up to 78 bytes each
	maxOwnAddrs  = 8  // addresses that are told: up to 28 bytes each
	maxTags      = 16 // of one node: 176 bytes
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
	Tags     []Tag  // 1 to maxTags
	Port     uint16
	Addrs    []netip.Addr // of its host, without zones
}

// claims are the records of a response that make nodes when all are read.
type claims struct {
	mdnsMessage
	texts []mdnsNode // Instance and Tags
	ports []claim    // of an instance, with its host
	hosts []claim    // with an address
}

// claim is one record of an instance or of a host.
type claim struct {
	name, host string // in lower case
	port       uint16
	addr       netip.Addr
}

// parseMDNS reads a message. Names are compared without regard to case (RFC 6762 §16).
func parseMDNS(b []byte) (mdnsMessage, error) {
	var m claims
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || len(b) > maxMDNS || h.OpCode != 0 || h.RCode != 0 { // §18.3, §18.11
		return m.mdnsMessage, errMDNS
	}
	m.Response = h.Response
	for n := 0; ; n++ {
		q, err := p.Question()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil || n == maxQuestions {
			return m.mdnsMessage, errMDNS
		}
		if !m.Response {
			m.question(q)
		}
	}
	left := maxRecords
	if !m.records(&p, p.AnswerHeader, p.SkipAnswer, &left) {
		return m.mdnsMessage, errMDNS
	}
	if !m.Response {
		return m.mdnsMessage, nil // what follows in a query is of no use here
	}
	if p.SkipAllAuthorities() != nil || !m.records(&p, p.AdditionalHeader, p.SkipAdditional, &left) {
		return m.mdnsMessage, errMDNS
	}
	m.nodes()
	return m.mdnsMessage, nil
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
func (m *claims) records(p *dnsmessage.Parser, next func() (dnsmessage.ResourceHeader, error), skip func() error, left *int) bool {
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
		case m.Response && h.TTL > 0:
			err = m.record(p, h, name, skip)
		default:
			err = skip()
		}
		if err != nil {
			return false
		}
	}
}

// record takes one that a node says of itself or of its host.
func (m *claims) record(p *dnsmessage.Parser, h dnsmessage.ResourceHeader, name string, skip func() error) error {
	instance := strings.HasSuffix(name, "."+serviceName)
	switch {
	case h.Type == dnsmessage.TypeTXT && instance:
		r, err := p.TXTResource()
		if tags := tagsOf(r.TXT); err == nil && tags != nil {
			m.texts = append(m.texts, mdnsNode{Instance: h.Name.String(), Tags: tags})
		}
		return err
	case h.Type == dnsmessage.TypeSRV && instance:
		r, err := p.SRVResource()
		if err == nil && r.Port != 0 {
			m.ports = append(m.ports, claim{name: name, host: strings.ToLower(r.Target.String()), port: r.Port})
		}
		return err
	case h.Type == dnsmessage.TypeA:
		r, err := p.AResource()
		m.hosts = append(m.hosts, claim{name: name, addr: netip.AddrFrom4(r.A)})
		return err
	case h.Type == dnsmessage.TypeAAAA:
		r, err := p.AAAAResource()
		m.hosts = append(m.hosts, claim{name: name, addr: netip.AddrFrom16(r.AAAA)})
		return err
	}
	return skip()
}

// nodes puts the records together. An instance that lacks one is passed over, and so is
// one that says something twice.
func (m *claims) nodes() {
	for _, n := range m.texts {
		of := func(c claim) bool { return strings.EqualFold(c.name, n.Instance) }
		i := slices.IndexFunc(m.ports, of)
		twice := i >= 0 && slices.ContainsFunc(m.ports[i+1:], of)
		if i < 0 || twice || slices.ContainsFunc(m.Nodes, func(o mdnsNode) bool { return strings.EqualFold(o.Instance, n.Instance) }) {
			continue
		}
		n.Port = m.ports[i].port
		for _, h := range m.hosts {
			if h.name == m.ports[i].host && !h.addr.Is4In6() {
				n.Addrs = append(n.Addrs, h.addr)
			}
		}
		if len(n.Addrs) > 0 {
			m.Nodes = append(m.Nodes, n)
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

// appendTags writes the TXT string of tags.
func appendTags(dst []byte, tags []Tag) []byte {
	var raw []byte
	for _, t := range tags {
		raw = append(raw, t[:]...)
	}
	return base64.RawURLEncoding.AppendEncode(append(dst, tagsKey...), raw)
}

// tagsOf reads it, the first of its key (RFC 6763 §6.4); nil if there is none or it makes
// no sense.
func tagsOf(texts []string) (tags []Tag) {
	for _, s := range texts[:min(len(texts), maxTexts)] {
		if len(s) < len(tagsKey) || !strings.EqualFold(s[:len(tagsKey)], tagsKey) {
			continue
		}
		raw, err := base64.RawURLEncoding.Strict().DecodeString(s[len(tagsKey):])
		if err != nil || len(raw)%len(Tag{}) != 0 || len(raw) > maxTags*len(Tag{}) || strings.ContainsAny(s, "\r\n") {
			return nil
		}
		for t := range slices.Chunk(raw, len(Tag{})) {
			tags = append(tags, Tag(t))
		}
		return tags
	}
	return nil
}

// service is what a node says of itself on one link.
type service struct {
	instance string // one label of 1 to 63 letters and digits, of no meaning
	tags     []Tag  // maxTags at most
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
	err := errors.Join(b.StartAnswers(),
		b.PTRResource(head(serviceName, 0, serviceTTL), dnsmessage.PTRResource{PTR: mine.Name}),
		b.SRVResource(mine, dnsmessage.SRVResource{Port: s.port, Target: host.Name}),
		b.TXTResource(mine, dnsmessage.TXTResource{TXT: []string{string(appendTags(nil, s.tags))}}))
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

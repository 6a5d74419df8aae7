package tracker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"shoal/internal/core/bencode"
)

// answerLimits bound a bencoded answer: MaxPeers dictionaries of three pairs have
// about 20,000 tokens; a scrape has fewer.
var answerLimits = bencode.Limits{Depth: 16, Tokens: 400_000}

// rules are what every answer is read by.
type rules struct {
	allow    func(netip.AddrPort) error
	min, max time.Duration
}

func (c *Client) rules() rules {
	return rules{c.cfg.Allow, c.cfg.MinInterval, c.cfg.MaxInterval}
}

// parseDict reads a bencoded dictionary, and a failure reason as a *Failure. White
// space after it is what trackers written as web pages leave there.
func (r rules) parseDict(body []byte) (bencode.Value, error) {
	d, err := bencode.Parse(bytes.TrimRight(body, " \t\r\n"), answerLimits)
	if err != nil {
		return d, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if d.Kind() != bencode.Dict {
		return d, fmt.Errorf("%w: no dictionary", ErrAnswer)
	}
	if reason, ok := d.Get("failure reason").Bytes(); ok {
		f := &Failure{Reason: printable(string(reason))}
		f.RetryIn, f.Never = r.retryIn(d.Get("retry in"))
		return d, f
	}
	return d, nil
}

// retryIn reads BEP 31's minutes, a number or its digits, or "never".
func (r rules) retryIn(v bencode.Value) (wait time.Duration, never bool) {
	minutes, ok := v.Int()
	if text, isText := v.Bytes(); isText {
		if string(text) == "never" {
			return 0, true
		}
		n, err := strconv.ParseInt(string(text[:min(len(text), 20)]), 10, 64)
		minutes, ok = n, err == nil
	}
	if !ok || minutes <= 0 {
		return 0, false
	}
	return r.clamp(minutes, time.Minute), false
}

// clamp makes a waiting time of n units one between the least and the greatest.
func (r rules) clamp(n int64, unit time.Duration) time.Duration {
	if n > int64(r.max/unit) {
		return r.max
	}
	return max(r.min, min(r.max, time.Duration(max(n, 0))*unit))
}

// parseAnnounce reads the body of an HTTP answer (BEP 3, 7, 23).
func (r rules) parseAnnounce(body []byte) (Response, error) {
	d, err := r.parseDict(body)
	if err != nil {
		return Response{}, err
	}
	res := Response{Interval: r.clamp(int64(unsaidInterval/time.Second), time.Second), MinInterval: r.min}
	if n, ok := d.Get("interval").Int(); ok {
		res.Interval = r.clamp(n, time.Second)
	}
	if n, ok := d.Get("min interval").Int(); ok {
		res.MinInterval = r.clamp(n, time.Second)
	}
	res.Interval = max(res.Interval, res.MinInterval)
	res.Seeders = count(d.Get("complete"))
	res.Leechers = count(d.Get("incomplete"))
	if w, ok := d.Get("warning message").Bytes(); ok {
		res.Warning = printable(string(w))
	}
	if id, ok := d.Get("tracker id").Bytes(); ok && len(id) <= maxTrackerID {
		res.TrackerID = string(id)
	}
	peers := r.newPeers()
	if err := peers.value(d.Get("peers"), 4); err != nil {
		return Response{}, err
	}
	if err := peers.value(d.Get("peers6"), 16); err != nil {
		return Response{}, err
	}
	res.Peers = peers.list
	return res, nil
}

// count reads a number of peers: -1 if there is none, or none that makes sense.
func count(v bencode.Value) int {
	n, ok := v.Int()
	if !ok || n < 0 {
		return -1
	}
	return int(min(n, math.MaxInt32))
}

// peers gathers addresses that are allowed, each once, MaxPeers at most.
type peers struct {
	allow func(netip.AddrPort) error
	seen  map[netip.AddrPort]bool
	list  []netip.AddrPort
}

func (r rules) newPeers() *peers {
	return &peers{allow: r.allow, seen: map[netip.AddrPort]bool{}}
}

func (p *peers) full() bool { return len(p.list) >= MaxPeers }

func (p *peers) add(ip netip.Addr, port uint16) {
	ip = ip.Unmap()
	addr := netip.AddrPortFrom(ip, port)
	if port == 0 || !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || p.seen[addr] || p.full() {
		return
	}
	if p.allow(addr) != nil {
		return
	}
	p.seen[addr] = true
	p.list = append(p.list, addr)
}

// value adds peers in either form: a compact string of addresses of size bytes,
// each with its port (BEP 23, 7), or a list of dictionaries (BEP 3). None is fine.
func (p *peers) value(v bencode.Value, size int) error {
	if b, ok := v.Bytes(); ok {
		if len(b)%(size+2) != 0 {
			return fmt.Errorf("%w: peers of %d bytes", ErrAnswer, len(b))
		}
		p.compact(b, size)
		return nil
	}
	switch v.Kind() {
	case bencode.Invalid:
		return nil
	case bencode.List:
		for item := range v.Items() {
			if p.full() {
				break
			}
			p.dict(item)
		}
		return nil
	}
	return fmt.Errorf("%w: peers are neither string nor list", ErrAnswer)
}

// compact adds the whole addresses in b; what is left of a last one is ignored.
func (p *peers) compact(b []byte, size int) {
	for ; len(b) >= size+2 && !p.full(); b = b[size+2:] {
		ip, _ := netip.AddrFromSlice(b[:size])
		p.add(ip, binary.BigEndian.Uint16(b[size:]))
	}
}

// dict adds a peer given as a dictionary. A host name in place of an address is
// ignored: a tracker is not to make us look names up.
func (p *peers) dict(d bencode.Value) {
	text, ok := d.Get("ip").Bytes()
	port, portOK := d.Get("port").Int()
	if !ok || !portOK || port <= 0 || port > math.MaxUint16 || len(text) > 64 {
		return
	}
	if ip, err := netip.ParseAddr(string(text)); err == nil && ip.Zone() == "" {
		p.add(ip, uint16(port))
	}
}

// parseScrape reads the body of an HTTP scrape (BEP 48).
func (r rules) parseScrape(body []byte, hashes [][20]byte) ([]ScrapeResult, error) {
	d, err := r.parseDict(body)
	if err != nil {
		return nil, err
	}
	files := d.Get("files")
	if files.Kind() != bencode.Dict {
		return nil, fmt.Errorf("%w: no files", ErrAnswer)
	}
	results := make([]ScrapeResult, len(hashes))
	for i, h := range hashes {
		f := files.Get(string(h[:]))
		results[i] = ScrapeResult{
			InfoHash: h, Known: f.Kind() == bencode.Dict,
			Seeders: max(0, count(f.Get("complete"))), Leechers: max(0, count(f.Get("incomplete"))),
			Completed: max(0, count(f.Get("downloaded"))),
		}
	}
	return results, nil
}

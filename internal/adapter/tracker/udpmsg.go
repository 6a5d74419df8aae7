package tracker

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// The actions of a UDP tracker (BEP 15).
const (
	actionConnect  uint32 = 0
	actionAnnounce uint32 = 1
	actionScrape   uint32 = 2
	actionError    uint32 = 3
)

const (
	protocolID = 0x41727101980 // opens a connect request (BEP 15)
	maxScrape  = 74            // hashes in one scrape (BEP 15)

	optionURLData = 2    // BEP 41
	maxURLData    = 1024 // bytes of path and query that are sent: a packet is to stay in one frame
)

// appendConnect appends a connect request, 16 bytes (BEP 15 "Connect").
func appendConnect(dst []byte, transaction uint32) []byte {
	dst = binary.BigEndian.AppendUint64(dst, protocolID)
	dst = binary.BigEndian.AppendUint32(dst, actionConnect)
	return binary.BigEndian.AppendUint32(dst, transaction)
}

// appendAnnounce appends an announce request, 98 bytes and options (BEP 15
// "Announce", BEP 41): path is path and query of the tracker's URL.
func appendAnnounce(dst []byte, connection uint64, transaction uint32, r Request, path string) []byte {
	dst = binary.BigEndian.AppendUint64(dst, connection)
	dst = binary.BigEndian.AppendUint32(dst, actionAnnounce)
	dst = binary.BigEndian.AppendUint32(dst, transaction)
	dst = append(dst, r.InfoHash[:]...)
	dst = append(dst, r.PeerID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Downloaded))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Left))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Uploaded))
	if r.Event == Paused {
		r.Event = None
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Event))
	dst = binary.BigEndian.AppendUint32(dst, 0) // our address: the sender's
	dst = binary.BigEndian.AppendUint32(dst, r.Key)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.numWant()))
	dst = binary.BigEndian.AppendUint16(dst, r.Port)
	return appendURLData(dst, path)
}

// appendURLData appends path and query in options of at most 255 bytes (BEP 41).
// Where there is neither, or too much, there is no option.
func appendURLData(dst []byte, path string) []byte {
	if len(path) > maxURLData {
		return dst
	}
	for len(path) > 0 {
		n := min(len(path), math.MaxUint8)
		dst = append(dst, optionURLData, byte(n))
		dst = append(dst, path[:n]...)
		path = path[n:]
	}
	return dst
}

// appendScrape appends a scrape request (BEP 15 "Scrape") of at most maxScrape
// hashes.
func appendScrape(dst []byte, connection uint64, transaction uint32, hashes [][20]byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, connection)
	dst = binary.BigEndian.AppendUint32(dst, actionScrape)
	dst = binary.BigEndian.AppendUint32(dst, transaction)
	for _, h := range hashes {
		dst = append(dst, h[:]...)
	}
	return dst
}

// packetHead reads the action and transaction id of an answer; ok is false for one
// too short to have them.
func packetHead(b []byte) (action, transaction uint32, ok bool) {
	if len(b) < 8 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), true
}

// answersTo tells whether a packet with a matching transaction id answers a request
// of an action: it has the same action, or is an error (BEP 15). One that is too
// short does answer, badly: opentracker sends eight bytes for a hash that it doesn't
// serve, and waiting would bring nothing else.
func answersTo(b []byte, want uint32) bool {
	action, _, ok := packetHead(b)
	return ok && (action == want || action == actionError)
}

// packetBody is what follows the head of a packet for which answersTo holds: at least so
// many bytes (BEP 15), unless it is an error packet, which is a *Failure with its
// words.
func packetBody(b []byte, least int) ([]byte, error) {
	if err := parseError(b); err != nil {
		return nil, err
	}
	if len(b) < 8+least {
		return nil, fmt.Errorf("%w: %d bytes where at least %d were to come", ErrAnswer, len(b), 8+least)
	}
	return b[8:], nil
}

// parseError gives an error packet's words as a *Failure, nil for another packet.
func parseError(b []byte) error {
	if action, _, ok := packetHead(b); !ok || action != actionError {
		return nil
	}
	return &Failure{Reason: printable(string(b[8:]))}
}

// parseConnect reads the connection id of a packet for which answersTo holds.
func parseConnect(b []byte) (uint64, error) {
	b, err := packetBody(b, 8)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// parseUDPAnnounce reads an announce answer for which answersTo holds. Peers have
// addresses of size bytes, as the packet's own sender has (BEP 15 "IPv6").
func (r rules) parseUDPAnnounce(b []byte, size int) (Response, error) {
	b, err := packetBody(b, 12)
	if err != nil {
		return Response{}, err
	}
	res := Response{
		Interval:    r.clamp(int64(int32(binary.BigEndian.Uint32(b))), time.Second),
		MinInterval: r.min,
		Leechers:    udpCount(b[4:]),
		Seeders:     udpCount(b[8:]),
	}
	peers := r.newPeers()
	peers.compact(b[12:], size)
	res.Peers = peers.list
	return res, nil
}

// parseUDPScrape reads a scrape answer for which answersTo holds.
func parseUDPScrape(b []byte, hashes [][20]byte) ([]ScrapeResult, error) {
	b, err := packetBody(b, 12*len(hashes))
	if err != nil {
		return nil, err
	}
	results := make([]ScrapeResult, len(hashes))
	for i, h := range hashes {
		results[i] = ScrapeResult{
			InfoHash: h, Known: true,
			Seeders: max(0, udpCount(b[12*i:])), Completed: max(0, udpCount(b[12*i+4:])), Leechers: max(0, udpCount(b[12*i+8:])),
		}
	}
	return results, nil
}

// udpCount reads a number of peers, -1 where it makes no sense.
func udpCount(b []byte) int { return max(-1, int(int32(binary.BigEndian.Uint32(b)))) }

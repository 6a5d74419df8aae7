package kad

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"shoal/internal/core/kad/krpc"
)

// Bounds of what is stored for others (limits card).
const (
	maxHashes   = 2000
	maxPeers    = 500 // of an info hash and family
	maxItems    = 700
	portsOfHost = 8            // peers of one address in a swarm
	shareOfNet  = maxPeers / 8 // and of one /24
)

// store is what this node keeps for others.
type store struct {
	swarms  shelf[swarm]
	items   shelf[krpc.Item]
	samples []krpc.ID // drawn for BEP 51
	drawn   time.Duration
}

// shelf is a bounded set of things by ID.
type shelf[V any] struct {
	list  []entry[V]
	index map[krpc.ID]int32
}

type entry[V any] struct {
	id    krpc.ID
	owner netip.Addr // network of whoever put it there first
	until time.Duration
	v     V
}

// swarm are the peers of an info hash, of each family.
type swarm struct{ peers [2][]peer }

type peer struct {
	addr netip.AddrPort
	at   time.Duration
}

func (s *shelf[V]) get(id krpc.ID) *entry[V] {
	if i, ok := s.index[id]; ok {
		return &s.list[i]
	}
	return nil
}

func (s *shelf[V]) remove(i int) {
	last := len(s.list) - 1
	delete(s.index, s.list[i].id)
	if i != last {
		s.list[i] = s.list[last]
		s.index[s.list[i].id] = int32(i)
	}
	s.list[last] = entry[V]{}
	s.list = s.list[:last]
}

// put makes an entry. A full shelf first loses what lies farthest from our own id of the network that holds most of it;
// nil if that is the newcomer itself.
func (s *shelf[V]) put(id, own krpc.ID, owner netip.Addr, most int) *entry[V] {
	if len(s.list) >= most && !s.makeRoom(id, own, owner) {
		return nil
	}
	if s.index == nil {
		s.index = make(map[krpc.ID]int32)
	}
	s.index[id] = int32(len(s.list))
	s.list = append(s.list, entry[V]{id: id, owner: owner})
	return &s.list[len(s.list)-1]
}

func (s *shelf[V]) makeRoom(id, own krpc.ID, owner netip.Addr) bool {
	held := map[netip.Addr]int{owner: 1} // only looked into: its order decides nothing
	greedy := owner
	for i := range s.list {
		o := s.list[i].owner
		held[o]++
		if held[o] > held[greedy] {
			greedy = o
		}
	}
	worst := -1
	for i := range s.list {
		if s.list[i].owner == greedy && (worst < 0 || own.CmpDistance(s.list[i].id, s.list[worst].id) > 0) {
			worst = i
		}
	}
	if worst < 0 || greedy == owner && own.CmpDistance(id, s.list[worst].id) > 0 {
		return false
	}
	s.remove(worst)
	return true
}

// sweep drops what is too old.
func (s *store) sweep(now time.Duration) {
	for i := len(s.swarms.list) - 1; i >= 0; i-- {
		e := &s.swarms.list[i]
		left := 0
		for f := range e.v.peers {
			e.v.peers[f] = slices.DeleteFunc(e.v.peers[f], func(p peer) bool { return p.at+peerLife <= now })
			left += len(e.v.peers[f])
		}
		if left == 0 {
			s.swarms.remove(i)
		}
	}
	for i := len(s.items.list) - 1; i >= 0; i-- {
		if s.items.list[i].until <= now {
			s.items.remove(i)
		}
	}
}

// family is 0 for IPv4 and 1 for IPv6.
func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// announce stores a peer.
func (s *store) announce(hash, own krpc.ID, a netip.AddrPort, now time.Duration) {
	net := masked(a.Addr(), 24, 48)
	e := s.swarms.get(hash)
	if e == nil {
		if e = s.swarms.put(hash, own, net, maxHashes); e == nil {
			return
		}
	}
	list := &e.v.peers[family(a.Addr())]
	var ofHost, ofNet, oldest, hostsOldest, netsOldest = 0, 0, -1, -1, -1
	older := func(i, j int) bool { return j < 0 || (*list)[i].at < (*list)[j].at }
	for i := range *list {
		p := &(*list)[i]
		if p.addr == a {
			p.at = now
			return
		}
		if older(i, oldest) {
			oldest = i
		}
		if p.addr.Addr() == a.Addr() {
			if ofHost++; older(i, hostsOldest) {
				hostsOldest = i
			}
		}
		if masked(p.addr.Addr(), 24, 48) == net {
			if ofNet++; older(i, netsOldest) {
				netsOldest = i
			}
		}
	}
	x := peer{a, now}
	switch {
	case ofHost >= portsOfHost:
		(*list)[hostsOldest] = x
	case ofNet >= shareOfNet && len(*list) >= maxPeers:
		(*list)[netsOldest] = x
	case len(*list) >= maxPeers:
		(*list)[oldest] = x
	default:
		*list = append(*list, x)
	}
}

// pick appends at most n peers of the family, drawn.
func (s *store) pick(dst []netip.AddrPort, hash krpc.ID, f, n int, rng *rand.Rand, now time.Duration) []netip.AddrPort {
	e := s.swarms.get(hash)
	if e == nil {
		return dst
	}
	list := e.v.peers[f]
	for i := 0; i < len(list) && n > 0; i++ {
		j := i + rng.IntN(len(list)-i)
		list[i], list[j] = list[j], list[i]
		if list[i].at+peerLife > now {
			dst = append(dst, list[i].addr)
			n--
		}
	}
	return dst
}

// keep stores an item that has been checked. It answers with the code of an error, 0 if there is none.
func (s *store) keep(it *krpc.Item, cas *int64, own krpc.ID, owner netip.Addr, now time.Duration) int {
	id := it.Target()
	e := s.items.get(id)
	if e != nil && it.Mutable {
		switch {
		case cas != nil && *cas != e.v.Seq:
			return krpc.CodeCAS
		case it.Seq < e.v.Seq, it.Seq == e.v.Seq && !bytes.Equal(it.Value, e.v.Value):
			return krpc.CodeSeq
		}
	}
	if e == nil {
		if e = s.items.put(id, own, owner, maxItems); e == nil {
			return krpc.CodeServer
		}
	}
	if e.until == 0 || it.Mutable {
		e.v = *it
		e.v.Salt, e.v.Value = bytes.Clone(it.Salt), bytes.Clone(it.Value)
	}
	e.until = now + itemLife
	return 0
}

// sample draws info hashes for BEP 51: all as long as there are no more than n, else n of them anew each interval.
func (s *store) sample(n int, rng *rand.Rand, now time.Duration) []krpc.ID {
	if len(s.samples) >= n && now < s.drawn+sampleInterval {
		return s.samples
	}
	s.drawn, s.samples = now, s.samples[:0]
	// A sample without repeats in the order of the list (Knuth 3.4.2 S).
	for i := range s.swarms.list {
		left := len(s.swarms.list) - i
		if rng.IntN(left) < n-len(s.samples) {
			s.samples = append(s.samples, s.swarms.list[i].id)
		}
	}
	return s.samples
}

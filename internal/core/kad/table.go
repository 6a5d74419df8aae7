package kad

import (
	"net/netip"
	"slices"
	"time"

	"shoal/internal/core/kad/krpc"
)

// Bounds of what nodes of one network may be (overlay research, section 2.8).
const (
	perBucket = 2
	perTable  = 3
	perAnswer = 3
)

// seconds are times of nodes, which there are many of.
type seconds uint32

func inSeconds(d time.Duration) seconds { return seconds(d / time.Second) }

// node is what is known of a node or, in a cache, of a contact.
type node struct {
	krpc.Node
	heard    seconds // it last answered or asked us
	answered seconds // it last answered, 0: never
	checked  seconds // it was last asked by us
	srtt     uint16  // ms of a round trip, 0: unknown
	rttvar   uint16
	fails    uint8 // queries in a row without an answer
	fits     bool  // its id fits its address (BEP 42)
}

// bucket holds the nodes that share a number of leading bits with us.
type bucket struct {
	nodes []node        // at most K, in order of arrival
	cache []node        // at most K contacts that wait for a place, who was heard of last comes last
	due   time.Duration // when it is to be refreshed
}

// table holds the nodes of one family: a bucket for each number of leading bits shared, which is what splitting the
// bucket of our own id again and again leads to.
type table struct {
	t       *T
	six     bool
	buckets []bucket
	size    int
	selfAt  time.Duration // when our own id is to be looked for
	thin    time.Duration // the last pause between two such searches, while fewer than K nodes are known
}

// index is the number of the bucket that an id belongs to.
func (tb *table) index(id krpc.ID) int { return min(tb.t.id.PrefixLen(id), len(id)*8-1) }

// bucket is the bucket of an id, made if need be.
func (tb *table) bucket(id krpc.ID) *bucket {
	i := tb.index(id)
	for len(tb.buckets) <= i {
		tb.buckets = append(tb.buckets, bucket{due: tb.t.now + questionable + tb.t.jitter(questionable/4)})
	}
	return &tb.buckets[i]
}

// find is the node with the id, nil if it isn't there.
func (tb *table) find(id krpc.ID) *node {
	if i := tb.index(id); i < len(tb.buckets) {
		return findNode(tb.buckets[i].nodes, id)
	}
	return nil
}

func findNode(list []node, id krpc.ID) *node {
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}

// network is what addresses of one owner share: /16, or /32 of IPv6.
func network(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return 1<<32 | uint64(b[0])<<8 | uint64(b[1])
	}
	b := a.As16()
	return uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
}

// add takes a node that has just answered. It tells whether the node is in the table now.
func (tb *table) add(n krpc.Node, rtt time.Duration) bool {
	if !tb.t.takes(n) || n.ID.IsZero() {
		return false
	}
	b := tb.bucket(n.ID)
	if old := findNode(b.nodes, n.ID); old != nil {
		if old.Addr != n.Addr {
			if old.fails == 0 {
				return false // whoever was here first keeps the id while it lives
			}
			old.Addr = n.Addr
		}
		old.alive(tb.t.now, rtt)
		return true
	}
	x := node{Node: n, fits: !tb.t.cfg.Secure || krpc.ValidID(n.ID, n.Addr.Addr())}
	x.alive(tb.t.now, rtt)
	tb.forget(n.Addr)
	i := tb.place(b, &x)
	if i < 0 {
		b.remember(x, tb.t.cfg.K)
		return false
	}
	b.uncache(n)
	switch {
	case !tb.diverse(b, &x, i):
		return false
	case i < len(b.nodes):
		b.nodes[i] = x
	default:
		b.nodes = append(b.nodes, x)
		tb.size++
	}
	return true
}

// uncache forgets a contact.
func (b *bucket) uncache(n krpc.Node) {
	b.cache = slices.DeleteFunc(b.cache, func(c node) bool { return c.ID == n.ID || c.Addr == n.Addr })
}

// place is the index where a node that answered may stand: at the end, or instead of one that is bad, or that BEP 42
// would not have; -1 if the bucket is full of better ones.
func (tb *table) place(b *bucket, x *node) int {
	if len(b.nodes) < tb.t.cfg.K {
		return len(b.nodes)
	}
	worst := -1
	for i := range b.nodes {
		if y := &b.nodes[i]; y.fails >= 2 && (worst < 0 || y.fails > b.nodes[worst].fails) {
			worst = i
		}
	}
	if worst < 0 && x.fits {
		worst = slices.IndexFunc(b.nodes, func(y node) bool { return !y.fits })
	}
	return worst
}

// diverse tells whether the table would stay within its bounds with x in place of the bucket's node i.
func (tb *table) diverse(b *bucket, x *node, i int) bool {
	if !tb.t.cfg.Diversity {
		return true
	}
	net := network(x.Addr.Addr())
	inBucket, inTable := 0, 0
	for j := range tb.buckets {
		c := &tb.buckets[j]
		for k := range c.nodes {
			if c == b && k == i || network(c.nodes[k].Addr.Addr()) != net {
				continue
			}
			inTable++
			if c == b {
				inBucket++
			}
		}
	}
	return inBucket < perBucket && inTable < perTable
}

// forget drops the nodes at an address: it answers under another id now.
func (tb *table) forget(a netip.AddrPort) {
	for i := range tb.buckets {
		b := &tb.buckets[i]
		for j := range b.nodes {
			if b.nodes[j].Addr == a {
				b.nodes = slices.Delete(b.nodes, j, j+1)
				tb.size--
				break
			}
		}
	}
}

// drop takes a node out.
func (tb *table) drop(id krpc.ID) {
	if i := tb.index(id); i < len(tb.buckets) {
		b := &tb.buckets[i]
		b.nodes = slices.DeleteFunc(b.nodes, func(n node) bool { return n.ID == id })
		tb.count()
	}
}

func (tb *table) count() {
	tb.size = 0
	for i := range tb.buckets {
		tb.size += len(tb.buckets[i].nodes)
	}
}

// alive notes an answer.
func (n *node) alive(now, rtt time.Duration) {
	n.heard, n.answered, n.fails = inSeconds(now), inSeconds(now), 0
	ms := int(min(max(rtt.Milliseconds(), 1), 30_000))
	if n.srtt == 0 {
		n.srtt, n.rttvar = uint16(ms), uint16(ms/2)
		return
	}
	diff := ms - int(n.srtt) // RFC 6298
	n.srtt = uint16(int(n.srtt) + diff/8)
	n.rttvar = uint16(int(n.rttvar) + (max(diff, -diff)-int(n.rttvar))/4)
}

// remember puts a contact into the bucket's cache.
func (b *bucket) remember(x node, most int) {
	if i := slices.IndexFunc(b.cache, func(c node) bool { return c.ID == x.ID || c.Addr == x.Addr }); i >= 0 {
		if b.cache[i].Addr == x.Addr && b.cache[i].ID == x.ID {
			x.answered = max(x.answered, b.cache[i].answered)
			x.checked = max(x.checked, b.cache[i].checked)
		}
		b.cache = slices.Delete(b.cache, i, i+1)
	} else if len(b.cache) >= most {
		b.cache = slices.Delete(b.cache, 0, 1)
	}
	b.cache = append(b.cache, x)
}

// closest appends the n nodes closest to the target, closest first, of those with at most so many fails.
func (tb *table) closest(dst []*node, target krpc.ID, n int, fails uint8) []*node {
	p := tb.index(target)
	from := len(dst)
	if p < len(tb.buckets) {
		dst = tb.buckets[p].merge(dst, from, target, from+n, fails)
	}
	// All beneath the target's bucket are farther than all in it; they mix among themselves.
	if group := len(dst); group < from+n {
		for i := p + 1; i < len(tb.buckets); i++ {
			dst = tb.buckets[i].merge(dst, group, target, from+n, fails)
		}
	}
	for i := min(p, len(tb.buckets)) - 1; i >= 0 && len(dst) < from+n; i-- {
		dst = tb.buckets[i].merge(dst, len(dst), target, from+n, fails)
	}
	return dst
}

// merge sorts the bucket's nodes into dst[from:most] by distance.
func (b *bucket) merge(dst []*node, from int, target krpc.ID, most int, fails uint8) []*node {
	for i := range b.nodes {
		x := &b.nodes[i]
		if x.fails > fails {
			continue
		}
		j := len(dst)
		for j > from && target.CmpDistance(x.ID, dst[j-1].ID) < 0 {
			j--
		}
		switch {
		case j >= most:
			continue
		case len(dst) < most:
			dst = append(dst, nil)
		}
		copy(dst[j+1:], dst[j:])
		dst[j] = x
	}
	return dst
}

// rebuild sorts all nodes anew after our own id has changed.
func (tb *table) rebuild() {
	old := tb.buckets
	tb.buckets, tb.size = nil, 0
	for i := range old {
		for _, n := range old[i].nodes {
			b := tb.bucket(n.ID)
			if len(b.nodes) < tb.t.cfg.K {
				b.nodes = append(b.nodes, n)
				tb.size++
			} else {
				b.remember(n, tb.t.cfg.K)
			}
		}
	}
	tb.selfAt = 0
}

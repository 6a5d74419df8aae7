package swarm

import "math/rand/v2"

// rarity keeps the pieces that may be opened next in order of how many peers that are
// not seeds have them. Every change of one piece's count is O(1): pieces of equal count
// stand together in a bucket, and a piece moves to the neighbouring bucket by a swap
// over the border. Within a bucket the order is random.
type rarity struct {
	rng   *rand.Rand
	list  []uint32 // pieces, by count
	pos   []int32  // piece → index in list, -1 when it is not in
	start []int32  // count → first index of its bucket; start[len-1] = len(list)
	avail []uint16 // piece → count, shared by the classes of priority
}

func newRarity(avail []uint16, rng *rand.Rand) *rarity {
	r := &rarity{rng: rng, pos: make([]int32, len(avail)), avail: avail, start: []int32{0, 0}}
	for i := range r.pos {
		r.pos[i] = -1
	}
	return r
}

func (r *rarity) put(i int32, p uint32) { r.list[i] = p; r.pos[p] = i }

// end is the first index behind the bucket of count a.
func (r *rarity) end(a int) int32 { return r.start[a+1] }

func (r *rarity) grow(a int) {
	for len(r.start) < a+2 {
		r.start = append(r.start, int32(len(r.list)))
	}
}

// shuffleIn swaps the piece at index i with a random one of its bucket.
func (r *rarity) shuffleIn(i int32, a int) {
	lo, hi := r.start[a], r.end(a)
	j := lo + r.rng.Int32N(hi-lo)
	p, q := r.list[i], r.list[j]
	r.put(j, p)
	r.put(i, q)
}

// insert adds a piece; it does nothing when the piece is in.
func (r *rarity) insert(p uint32) {
	if r.pos[p] >= 0 {
		return
	}
	a := int(r.avail[p])
	r.grow(a)
	r.list = append(r.list, p)
	hole := int32(len(r.list) - 1)
	// The borders above a move up by one: the first of each bucket goes to its end.
	for b := len(r.start) - 1; b > a; b-- {
		first := r.start[b]
		if first != hole {
			r.put(hole, r.list[first])
			hole = first
		}
		r.start[b]++
	}
	r.put(hole, p)
	r.shuffleIn(hole, a)
}

// remove takes a piece out; it does nothing when the piece is not in.
func (r *rarity) remove(p uint32) {
	hole := r.pos[p]
	if hole < 0 {
		return
	}
	for b := int(r.avail[p]) + 1; b < len(r.start); b++ {
		r.start[b]--
		last := r.start[b]
		if last != hole {
			r.put(hole, r.list[last])
			hole = last
		}
	}
	r.list = r.list[:len(r.list)-1]
	r.pos[p] = -1
}

// inc counts one more peer that has the piece.
func (r *rarity) inc(p uint32) {
	a := int(r.avail[p])
	if a == 1<<16-1 {
		return
	}
	r.avail[p]++
	if r.pos[p] < 0 {
		return
	}
	r.grow(a + 1)
	last := r.end(a) - 1
	i, q := r.pos[p], r.list[last]
	r.put(i, q)
	r.put(last, p)
	r.start[a+1]--
	r.shuffleIn(last, a+1)
}

// dec counts one peer less.
func (r *rarity) dec(p uint32) {
	a := int(r.avail[p])
	if a == 0 {
		return
	}
	r.avail[p]--
	if r.pos[p] < 0 {
		return
	}
	first := r.start[a]
	i, q := r.pos[p], r.list[first]
	r.put(i, q)
	r.put(first, p)
	r.start[a]++
	r.shuffleIn(first, a-1)
}

package pieces

import "math/rand/v2"

// Order keeps the pieces that may be opened next in order of how many peers that are
// not seeds have them. Every change of one piece's count is O(1): pieces of equal count
// stand together in a bucket, and a piece moves to the neighbouring bucket by a swap
// over the border. Within a bucket the order is random.
type Order struct {
	rng   *rand.Rand
	list  []uint32 // pieces, by count
	pos   []int32  // piece → index in list, -1 when it is not in
	start []int32  // count → first index of its bucket; start[len-1] = len(list)
	avail []uint16 // piece → count, shared by the classes of priority
}

// NewOrder makes an empty order. avail is how many peers have each piece; it may be shared by
// several orders, none of which has a piece of another. rng decides among equals.
func NewOrder(avail []uint16, rng *rand.Rand) *Order {
	r := &Order{rng: rng, pos: make([]int32, len(avail)), avail: avail, start: []int32{0, 0}}
	for i := range r.pos {
		r.pos[i] = -1
	}
	return r
}

// List is the pieces in order; it is valid until the next change.
func (r *Order) List() []uint32 { return r.list }

// Index is where the piece stands in List, -1 when it is not in.
func (r *Order) Index(p uint32) int { return int(r.pos[p]) }

func (r *Order) put(i int32, p uint32) { r.list[i] = p; r.pos[p] = i }

// end is the first index behind the bucket of count a.
func (r *Order) end(a int) int32 { return r.start[a+1] }

func (r *Order) grow(a int) {
	for len(r.start) < a+2 {
		r.start = append(r.start, int32(len(r.list)))
	}
}

// shuffleIn swaps the piece at index i with a random one of its bucket.
func (r *Order) shuffleIn(i int32, a int) {
	lo, hi := r.start[a], r.end(a)
	j := lo + r.rng.Int32N(hi-lo)
	p, q := r.list[i], r.list[j]
	r.put(j, p)
	r.put(i, q)
}

// Insert adds a piece; it does nothing when the piece is in.
func (r *Order) Insert(p uint32) {
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

// Remove takes a piece out; it does nothing when the piece is not in.
func (r *Order) Remove(p uint32) {
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

// Inc counts one more peer that has the piece.
func (r *Order) Inc(p uint32) {
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

// Dec counts one peer less.
func (r *Order) Dec(p uint32) {
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

package group

import "math/bits"

// set is a set of a list's items, by index.
type set [MaxEntries / 64]uint64

func (s *set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) drop(i int)     { s[i/64] &^= 1 << (i % 64) }

func (s *set) addAll(o *set) {
	for w := range s {
		s[w] |= o[w]
	}
}

func (s *set) dropAll(o *set) {
	for w := range s {
		s[w] &^= o[w]
	}
}

func (s set) and(o *set) set {
	for w := range s {
		s[w] &= o[w]
	}
	return s
}

// within tells that all of it is in o.
func (s *set) within(o *set) bool {
	for w := range s {
		if s[w]&^o[w] != 0 {
			return false
		}
	}
	return true
}

// last is the highest index.
func (s *set) last() (int, bool) {
	for w := len(s) - 1; w >= 0; w-- {
		if s[w] != 0 {
			return w*64 + 63 - bits.LeadingZeros64(s[w]), true
		}
	}
	return 0, false
}

// all goes through the indices, the lowest first.
func (s *set) all(yield func(int) bool) {
	for w, rest := range s {
		for ; rest != 0; rest &= rest - 1 {
			if !yield(w*64 + bits.TrailingZeros64(rest)) {
				return
			}
		}
	}
}

// upTo holds the indices below n.
func upTo(n int) (s set) {
	for i := range n {
		s.add(i)
	}
	return s
}

package kad

import (
	"encoding/binary"
	"slices"

	"shoal/internal/core/kad/krpc"
)

// Bounds of the estimate of the network's size.
const (
	fewSamples = 3 // searches before the estimate counts
	suspect    = 4 // a result that is so many times denser than the network: one honest one in a thousand is
)

// estimate is what the distances of the closest nodes tell of the network's size: with N nodes the i-th closest is
// i/(N+1) of the space away. It is the median of the last searches, so that few lies do not move it.
type estimate struct {
	last [32]float64
	seen int
}

// size is the number of nodes, 0 if too little is known.
func (e *estimate) size() float64 {
	n := min(e.seen, len(e.last))
	if n < fewSamples {
		return 0
	}
	sorted := e.last
	slices.Sort(sorted[:n])
	return sorted[n/2]
}

// add takes the size that one search saw.
func (e *estimate) add(size float64) {
	e.last[e.seen%len(e.last)] = size
	e.seen++
}

// suspicious tells whether a search saw far more nodes about its target than there can be: somebody put them there.
func (e *estimate) suspicious(density float64) bool {
	size := e.size()
	return size > 0 && density > suspect*size
}

// fraction is a distance as part of the whole space.
func fraction(d krpc.ID) float64 { return float64(binary.BigEndian.Uint64(d[:])) / (1 << 63) / 2 }

// density is the size of a network in which nodes stand so close, by least squares through the origin.
func density(target krpc.ID, nodes []krpc.Node) float64 {
	var over, under float64
	for i, n := range nodes {
		x := float64(i + 1)
		over += x * x
		under += float64(x * fraction(target.XOR(n.ID)))
	}
	return over / max(under, 1.0/(1<<62)) // so near that the numbers end
}

// measure takes the density that a search found, 0 if it says nothing.
func (t *T) measure(l *lookup) float64 {
	if len(l.paths) != 1 {
		return 0
	}
	var nodes []krpc.Node
	for i := range l.paths[0].list {
		if c := &l.paths[0].list[i]; c.state == answered && len(nodes) < t.cfg.K {
			nodes = append(nodes, c.Node)
		}
	}
	if len(nodes) < t.cfg.K {
		return 0
	}
	d := density(l.Target, nodes)
	t.estimate.add(d)
	return d
}

// Size is an estimate of how many nodes the network has, 0 while too little is known. Its error is about a fifth after
// three searches, a tenth after thirty.
func (t *T) Size() int { return int(t.estimate.size()) }

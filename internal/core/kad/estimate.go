package kad

import (
	"encoding/binary"
	"slices"

	"shoal/internal/core/kad/krpc"
)

// Bounds of the estimate of the network's size.
const (
	fewSamples = 3    // searches before the estimate counts
	tooNear    = 0.02 // of the space that one node has: one target of fifty has a node so near
	maxNear    = 3    // nodes of a path that are nearer and are looked at all the same
	suspect    = 4    // a result that is so many times denser than the network: one honest one in a thousand is
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

// add takes the size that one search saw. One that was suspicious is not taken before it was repeated by many paths: liars
// would soon be most of the samples. A network that has grown is measured right by those.
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

// measure is the density that a search found, 0 if it says nothing.
func (t *T) measure(l *lookup) float64 {
	var nodes []krpc.Node
	for i := range l.paths {
		for j := range l.paths[i].list {
			if c := &l.paths[i].list[j]; c.state == answered && !c.near {
				nodes = append(nodes, c.Node)
			}
		}
	}
	if len(nodes) < t.cfg.K {
		return 0
	}
	slices.SortFunc(nodes, func(a, b krpc.Node) int { return l.Target.CmpDistance(a.ID, b.ID) })
	return density(l.Target, nodes[:t.cfg.K])
}

// Size is an estimate of how many nodes the network has, 0 while too little is known. Its error is about a fifth after
// three searches, a tenth after thirty.
func (t *T) Size() int { return int(t.estimate.size()) }

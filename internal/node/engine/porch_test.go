package engine

import (
	"net"
	"testing"
)

func TestPorchMakesRoomForTheNewest(t *testing.T) {
	var p porch
	var ends []net.Conn
	for range porchPlaces + 1 {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		ends = append(ends, b)
		p.enter(a)
	}
	if _, err := ends[0].Read(make([]byte, 1)); err == nil {
		t.Error("the oldest was not sent away")
	}
	if len(p.waiting) != porchPlaces {
		t.Errorf("%d wait", len(p.waiting))
	}
	newest := p.waiting[porchPlaces-1]
	p.leave(newest)
	p.leave(newest)
	if len(p.waiting) != porchPlaces-1 {
		t.Errorf("%d wait after one left", len(p.waiting))
	}
}

package dht

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// boot looks up the bootstrap names while few nodes are known, less and less often. All of
// it but working is the owner's.
type boot struct {
	names   []string
	at      time.Time // when to judge again
	pause   time.Duration
	busy    bool // names are being looked up
	working sync.WaitGroup
}

// never is far away.
const never = 1000 * time.Hour

func (b *boot) begin(cfg Config, now time.Time) {
	b.names, b.at, b.pause = cfg.Bootstrap[:min(len(cfg.Bootstrap), maxBoot)], now, bootFirst
	if len(cfg.Saved.Nodes) > 0 {
		b.at = now.Add(bootPatient)
	}
	if len(b.names) == 0 {
		b.at = now.Add(never)
	}
}

// soon forgets that looking up was of no use: the machine may have come back.
func (b *boot) soon(now time.Time) {
	if len(b.names) > 0 && !b.busy {
		b.at, b.pause = now, bootFirst
	}
}

// tend looks names up if it is time and nodes are wanted.
func (b *boot) tend(ctx context.Context, d *DHT) {
	if d.now.Before(b.at) {
		return
	}
	if b.busy {
		b.at = d.now.Add(bootFirst)
		return
	}
	known := d.t.Len()
	if known >= d.k {
		b.at, b.pause = d.now.Add(bootLook), bootFirst
		return
	}
	most := bootMost
	if known == 0 {
		most = bootAlone
	}
	b.pause = min(b.pause, most)
	b.at = d.now.Add(b.pause)
	b.pause *= 2
	b.busy = true
	b.working.Go(func() { d.lookUp(ctx, b.names) })
}

// wait returns when no name is being looked up any more.
func (b *boot) wait() { b.working.Wait() }

// lookUp looks the names up one by one, in a goroutine of its own.
func (d *DHT) lookUp(ctx context.Context, names []string) {
	for _, name := range names {
		if list := d.resolve(ctx, name); len(list) > 0 {
			kind := kad.Routers // who has a name has it for everybody
			if _, err := netip.ParseAddrPort(name); err == nil {
				kind = kad.Bootstrap
			}
			d.name(kind, list)
		}
	}
	d.postAlways(func() { d.boot.busy = false })
}

// resolve finds the addresses of one name.
func (d *DHT) resolve(ctx context.Context, name string) []netip.AddrPort {
	if a, err := netip.ParseAddrPort(name); err == nil {
		return []netip.AddrPort{a}
	}
	if d.cfg.Resolve == nil || ctx.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	list, err := d.cfg.Resolve(ctx, name)
	if err != nil {
		return nil // the next round may do better; that nobody is known is told by Health
	}
	return list[:min(len(list), maxBoot)]
}

// Add names nodes that may be there: of a peer's PORT message (BEP 5), of a person. Each is
// asked; whom the scope does not allow is not. It never waits.
func (d *DHT) Add(nodes ...netip.AddrPort) { d.name(kad.Bootstrap, nodes) }

func (d *DHT) name(kind kad.Kind, nodes []netip.AddrPort) {
	list := make([]krpc.Node, len(nodes))
	for i, a := range nodes {
		list[i].Addr = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	d.post(func() { d.in.List = append(d.in.List, kad.Event{Kind: kind, Nodes: list}) })
}

// Online says that the machine has come back to a network: whoever is known is asked again
// and names are looked up at once if need be. It never waits.
func (d *DHT) Online() {
	d.post(func() {
		nodes := d.t.Nodes()
		if len(nodes) == 0 {
			nodes = d.cfg.Saved.Nodes
		}
		d.in.List = append(d.in.List, kad.Event{Kind: kad.Bootstrap, Nodes: nodes})
		d.boot.soon(d.now)
		d.back()
	})
}

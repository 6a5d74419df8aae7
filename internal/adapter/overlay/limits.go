package overlay

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	relayproto "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
)

// Memory that libp2p's own protocols, relaying and QUIC's windows may take. What streams of
// yamux hold is bounded by ledgers.
const (
	memorySystem    = 256 << 20
	memoryTransient = 16 << 20
	memoryPeer      = 96 << 20
	memoryStream    = 32 << 20
)

// limiter has every limit written out: libp2p's own grow with the machine's memory, and
// some of them look like slips.
func limiter(streams map[string]int) rcmgr.Limiter {
	set := func(conns, streams, inbound int, memory int64) rcmgr.ResourceLimits {
		return rcmgr.ResourceLimits{
			Conns: rcmgr.LimitVal(conns), ConnsInbound: rcmgr.LimitVal(conns), ConnsOutbound: rcmgr.LimitVal(conns),
			FD: rcmgr.LimitVal(conns), Streams: rcmgr.LimitVal(streams), StreamsInbound: rcmgr.LimitVal(inbound),
			StreamsOutbound: rcmgr.LimitVal(streams), Memory: rcmgr.LimitVal64(memory),
		}
	}
	// Our own streams are ours to limit: what a peer opens towards us is bounded tighter.
	perPeer := func(n int) rcmgr.ResourceLimits { return set(1, n+MaxPeerStreams, n, memoryPeer) }
	p := rcmgr.PartialLimitConfig{
		System:               set(MaxConns, maxTotalStreams, maxTotalStreams, memorySystem),
		Transient:            set(maxTransient, 4*maxTransient, 4*maxTransient, memoryTransient),
		AllowlistedSystem:    set(1, 1, 1, 1),
		AllowlistedTransient: set(1, 1, 1, 1),
		PeerDefault:          set(MaxPeerConns, 2*MaxPeerStreams, MaxPeerStreams, memoryPeer),
		Conn:                 set(1, 1, 1, memoryPeer),
		Stream:               set(1, 1, 1, memoryStream),
		ProtocolDefault:      set(1, maxTotalStreams, maxTotalStreams, memorySystem),
		ProtocolPeerDefault:  perPeer(DefaultStreams),
		ServiceDefault:       set(1, maxTotalStreams, maxTotalStreams, memorySystem),
		ServicePeerDefault:   set(1, 2*MaxPeerStreams, MaxPeerStreams, memoryPeer),
		ProtocolPeer: map[protocol.ID]rcmgr.ResourceLimits{
			relayproto.ProtoIDv2Hop:  perPeer(2 * maxCircuits),
			relayproto.ProtoIDv2Stop: perPeer(2 * maxCircuits),
		},
	}
	for name, n := range streams {
		p.ProtocolPeer[protocol.ID(name)] = perPeer(min(n, MaxPeerStreams))
	}
	return rcmgr.NewFixedLimiter(p.Build(rcmgr.InfiniteLimits))
}

// resources is the resource manager with these limits. Its bounds for one address, eight
// connections and a slow stream of new ones, do not hold for loopback.
func resources(streams map[string]int) (network.ResourceManager, error) {
	return rcmgr.NewResourceManager(limiter(streams), rcmgr.WithMetricsDisabled())
}

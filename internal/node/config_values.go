package node

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"shoal/internal/core/group"
	"shoal/internal/door/api"
)

// SizeText is an amount of bytes that is written as text in the file.
type SizeText int64

// UnmarshalText reads a size as api.ParseSize does.
func (s *SizeText) UnmarshalText(b []byte) error {
	n, err := api.ParseSize(string(b))
	*s = SizeText(n)
	return err
}

// MarshalText writes what UnmarshalText reads.
func (s SizeText) MarshalText() ([]byte, error) {
	for _, u := range []struct {
		factor SizeText
		suffix string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "K"}} {
		if s > 0 && s%u.factor == 0 {
			return fmt.Appendf(nil, "%d%s", int64(s/u.factor), u.suffix), nil
		}
	}
	return fmt.Appendf(nil, "%d", int64(s)), nil
}

// Most entries of lists in [network].
const (
	maxBootstrap = 32
	maxExternal  = 8
)

// invalidNode is the part of invalid about how the node meets others.
func (c *Config) invalidNode() (key, why string) {
	if n := c.Node.Name; n != "" && !group.NameFits(n) {
		return "node.name", fmt.Sprintf("it has 1 to %d bytes, no control characters and no blank at its ends", group.MaxName)
	}
	if len(c.Network.Bootstrap) > maxBootstrap {
		return "network.bootstrap", fmt.Sprintf("there may be at most %d", maxBootstrap)
	}
	if err := checkPeers(c.Network.Bootstrap); err != nil {
		return "network.bootstrap", fmt.Sprintf("%q is not host:port", api.Safe(api.AsError(err).Subject))
	}
	if len(c.Network.External) > maxExternal {
		return "network.external", fmt.Sprintf("there may be at most %d", maxExternal)
	}
	for _, text := range c.Network.External {
		a, ok := externalAddr(text, 1)
		switch {
		case !ok:
			return "network.external", fmt.Sprintf("%q is not IP or IP:PORT", api.Safe(text))
		case a.Port() == 0 || !a.Addr().IsGlobalUnicast() || a.Addr().Zone() != "":
			return "network.external", fmt.Sprintf("%q is no address that is reached from outside", api.Safe(text))
		}
	}
	return "", ""
}

// externalAddr reads an address with or without a port.
func externalAddr(text string, port uint16) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port), true
	}
	a, err := netip.ParseAddrPort(text)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), err == nil
}

// ExternalAddrs are the addresses of External; those without a port have the node's.
func (n *NetworkConfig) ExternalAddrs(port uint16) []netip.AddrPort {
	var out []netip.AddrPort
	for _, text := range n.External {
		if a, ok := externalAddr(text, port); ok {
			out = append(out, a)
		}
	}
	return out
}

// NodeName is what the node is called to members: what the file says, else the first part
// of the machine's name, else "node".
func (c Config) NodeName(host string) string {
	if c.Node.Name != "" {
		return c.Node.Name
	}
	host, _, _ = strings.Cut(host, ".")
	for len(host) > group.MaxName {
		_, n := utf8.DecodeLastRuneInString(host)
		host = host[:len(host)-n]
	}
	if !group.NameFits(host) {
		return "node"
	}
	return host
}

// WantsFiles is how many files and sockets the node may have open as it is configured: its
// connections, those being opened, files of shares, and some for itself.
func (c Config) WantsFiles() uint64 {
	const own = 64
	return uint64(c.Network.Connections) + uint64(c.Network.HalfOpen) + uint64(c.Disk.OpenFiles) + own
}

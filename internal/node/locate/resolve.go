package locate

import (
	"context"
	"net"
	"net/netip"
	"strconv"
)

// Resolve finds the addresses of a host and port that a person or a link gave. What is no
// such pair leads nowhere, and is not an error.
func Resolve(ctx context.Context, hostport string, lookup func(context.Context, string) ([]netip.Addr, error)) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, nil
	}
	addrs, err := lookup(ctx, host)
	var list []netip.AddrPort
	for _, a := range addrs {
		list = append(list, netip.AddrPortFrom(a.Unmap(), uint16(n)))
	}
	return list, err
}

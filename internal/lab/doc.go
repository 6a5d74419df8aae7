// Package lab holds tests of the built shoal binary between networks: home routers that
// translate addresses, links that are slow, lossy or cut, a local network with no way out,
// listeners who capture every packet, strangers who ask and flood.
//
// Each network is made by the test that needs it: namespaces, joined by veth pairs and
// bridges, with nftables for routers (net_test.go). None of them leads out: the whole run is
// in a namespace of its own, and with its end everything in it is gone, whatever happened.
// Namespaces have no names, so that runs beside each other share nothing.
//
// The tests see what a person or another program can see: exit codes, lines of --json, the
// HTTP API, files, packets. They never look inside. Each wait is for an event or a state and
// has a deadline. Where no namespaces can be made the tests skip and say so; with
// SHOAL_REQUIRE_PEERS=1 they fail. SHOAL_LONG=1 runs the long forms: a node suspended for a
// minute, 200 rounds of connecting and leaving.
package lab

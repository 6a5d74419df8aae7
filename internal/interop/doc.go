// Package interop holds only tests: the built shoal binary and BitTorrent programs
// that nobody here wrote exchange files on loopback, both ways round, in v1, v2 and
// hybrid, by address, tracker and magnet link, in pairs and in one mixed swarm, and
// every byte is compared afterwards. docs/INTEROP.md says what was run.
//
// The programs come from the system's packages and are driven by bench/clients. A
// test skips, and says so, where one is not installed; with SHOAL_REQUIRE_PEERS=1 a
// missing one is a failure. A pair of foreign programs is tested first: when that
// fails, it is the harness or the machine, not shoal.
package interop

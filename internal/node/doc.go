// Package node is one running shoal: it owns the home folder, the
// configuration, the scope of the network and every service, and decides when
// each of them starts and stops.
//
// Files: home.go, lock.go and key.go are the home folder (DESIGN.md §4, "Files
// and ports"); config.go is config.toml (docs/config.md); scope.go and bind.go
// say which addresses may be contacted. The exchange itself is in engine, the
// protocols are in core; this package never judges a message.
package node

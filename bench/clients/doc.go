// Package clients starts, drives and stops BitTorrent programs, ours and those of
// others, so that tests and benchmarks can put any of them at either end of a
// transfer: transmission-daemon, aria2c, rtorrent, qbittorrent-nox, libtorrent
// through its Python module, opentracker, mktorrent, transmission-create, and the
// shoal binary. It also has a small HTTP tracker, makes torrents, and reads what a
// process cost.
//
// Every node has an address of its own in 127.0.0.0/8, with DHT, local discovery,
// port mapping and peer exchange off; [Isolate] puts the whole run into a network
// namespace that has nothing but loopback. Every wait has a deadline, every process
// belongs to a group of its own, ends with the harness, and leaves its log behind
// when something failed. Nothing here looks inside shoal: it knows the command line
// and what other programs can see.
//
// It works on Linux only: it reads /proc and uses namespaces and named pipes.
package clients

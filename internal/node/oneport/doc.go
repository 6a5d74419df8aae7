// Package oneport lets BitTorrent, the DHT and the overlay share one TCP and one UDP port
// (docs/decisions/0004-overlay.md): it tells by the first bytes for whom a connection or a
// datagram is, and hands it over. It answers nothing itself, and knows no more of the
// formats than how they begin (BEP 3 and the multistream specification) and, for KRPC
// (BEP 5), end. It also names the process that holds a port which is taken.
package oneport

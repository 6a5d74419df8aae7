// Package porch is where connections become links: it accepts those that strangers open,
// dials those that a share wants, and shakes hands on both (BEP 3, BEP 52), each within
// Timeout.
//
// Until its handshake has come a connection stands on the porch, which has few places: who
// is silent longest makes room for others (places.go). Half-open connections of our own
// are bounded too.
//
// It never reads or sends a message after the handshake, and knows of shares only their
// hashes: a connection whose hands are shaken is handed over.
package porch

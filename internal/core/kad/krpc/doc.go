// Package krpc reads and writes the messages of the DHT: bencoded dictionaries, one a datagram (BEP 5), with IPv6
// (BEP 32), ids bound to addresses (BEP 42), read-only nodes (BEP 43), stored items (BEP 44) and samples of info hashes
// (BEP 51). The bytes are in docs/formats/krpc.md.
//
// Parse checks types, lengths and counts of every key that belongs to the message and ignores every other key; what it
// refuses it names by a Fault that knows which error to answer with. It copies what it keeps into memory of the
// Message, so that a Message parsed into again and again allocates nothing. Append writes canonical bencoding.
//
// The package knows nothing of time, sockets, tables or which query an answer belongs to, and decides nothing about
// addresses beyond that they name a place: who may be told or taken is the caller's rule.
package krpc

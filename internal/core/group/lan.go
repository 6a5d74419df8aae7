package group

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"shoal/internal/core/ident"
)

// lanDomain begins what a tag is made of.
const lanDomain = "shoal lan"

// LANTag is what a member calls itself on a local network, where strangers listen too: the
// first bytes of HMAC-SHA-256, keyed by the group, of "shoal lan", the NodeID and the day
// (days since 1970 in UTC, 8 bytes, big-endian). Who knows the group and its members can
// tell whose it is; to others it is random, and nothing connects it with that of another
// day or of another group.
func LANTag(g ID, node ident.NodeID, day int64) [8]byte {
	mac := hmac.New(sha256.New, g[:])
	mac.Write([]byte(lanDomain))
	mac.Write(node[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(day)))
	return [8]byte(mac.Sum(nil))
}

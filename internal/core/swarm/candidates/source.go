package candidates

// Source says where a candidate was learnt. What is better vouched for comes first: what a
// person gave, then what is proven to be near or to be a member, then what the peer said of
// itself, then what strangers say of others, the easier to fill with lies the later.
type Source uint8

// The sources of candidates, the best first.
const (
	FromPerson  Source = iota // --peer
	FromLink                  // the link's own x.pe
	FromLAN                   // heard on the same link (BEP 14); nobody farther can say it
	FromMember                // a member of the share's group was asked, and has it
	FromGroup                 // the DHT of the share's group: members only, but on hearsay
	FromPeer                  // it dialled us and said where it listens
	FromTracker               // BEP 3
	FromPEX                   // BEP 11
	FromDHT                   // Mainline (BEP 5): anybody can announce any address there
	numSources  = iota
)

var sourceWords = [numSources]string{"person", "link", "lan", "member", "group", "peer", "tracker", "pex", "dht"}

// String is the source's word in the API.
func (s Source) String() string {
	if s < numSources {
		return sourceWords[s]
	}
	return "unknown"
}

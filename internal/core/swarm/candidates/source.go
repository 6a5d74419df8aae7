package candidates

import "time"

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

// given tells that a person gave the address, by itself or in a link.
func (s Source) given() bool { return s <= FromLink }

// Known tells that the address is not a stranger's word: a person gave it, or the local
// network or a member did.
func (s Source) Known() bool { return s <= FromGroup }

// How long one waits before an address is tried again: the pause doubles with each failure.
const (
	givenRetry  = time.Second // a person's peer may be starting just now
	givenMost   = 30 * time.Second
	givenSteady = 20              // failures that double it only twice where it is known who is there: about a minute
	knownRetry  = 2 * time.Second // members, neighbours: they are there, and may be starting or moving
	knownMost   = time.Minute
	otherRetry  = time.Minute // strangers' addresses: at most two tries in ten minutes at first (security.md T09)
	otherMost   = time.Hour
	otherTries  = 6  // failures in a row after which a stranger's address is forgotten
	memberTries = 30 // half an hour
)

// pause is how long to wait after as many failures as k has. An address that bytes came from
// is nobody's lie: it is tried again as soon as a member's.
func (k *candidate) pause() time.Duration {
	first, most, fails := otherRetry, otherMost, k.fails
	switch {
	case k.source.given():
		first, most = givenRetry, givenMost
		if k.source == FromPerson || k.served { // a link may name anybody
			fails = min(fails, 2) + max(0, fails-givenSteady)
		}
	case k.source.Known():
		first, most = knownRetry, knownMost
	case k.served:
		first = knownRetry
	}
	return min(first<<min(fails, 16), most)
}

// tries is how often in a row k may fail before it is forgotten, 0 for without end.
func (k *candidate) tries() int {
	switch {
	case k.source.given():
		return 0
	case k.source == FromMember || k.source == FromGroup:
		return memberTries
	case k.served:
		return 2 * otherTries
	}
	return otherTries
}

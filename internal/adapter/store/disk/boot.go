package disk

import (
	"crypto/rand"
	"sync"
)

// BootID names this run of the operating system. As long as it stays the same,
// what a process wrote before it was killed is still in the page cache. Where
// the system has no such name every process gets a random one, which is safe:
// it only means that what was not synced is hashed again.
func BootID() string { return bootID() }

// MaxBoot is the length in bytes that no BootID exceeds.
const MaxBoot = 64

var bootID = sync.OnceValue(func() string {
	if id := systemBoot(); id != "" && len(id) <= MaxBoot {
		return id
	}
	return rand.Text()
})

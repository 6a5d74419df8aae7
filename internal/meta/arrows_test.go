package meta

import (
	"slices"
	"strings"
	"testing"
)

// rooms are the folders that may hold packages. A new room needs a reason: then
// it is drawn here, with what it may import, as in docs/ARCHITECTURE.md.
var rooms = []struct {
	room string
	may  []string // own folders it may import, itself and its own sub-folders aside
}{
	{"cmd/shoal", []string{"internal"}},
	{"internal/core", []string{"internal/core"}},
	{"internal/adapter", []string{"internal/core"}},
	{"internal/node", []string{"internal/core", "internal/adapter", "internal/door/api"}},
	{"internal/sim", []string{"internal/core"}},
	// It runs nodes as people do, as processes with a door each: neither wiring nor a command.
	{"internal/demo", []string{"internal/core", "internal/door/api", "internal/door/cli/term"}},
	{"internal/door/api", []string{"internal/core"}},
	{"internal/door/httpd", []string{"internal/door/api"}},
	{"internal/door/cli", []string{"internal/door/api"}},
	{"internal/interop", []string{"bench", "internal/core", "internal/node/dht"}},
	{"internal/fault", []string{"bench", "internal/core"}},
	{"internal/lab", []string{"bench", "internal/core"}},
	{"internal/meta", nil},
	{"bench", []string{"internal/core"}},
}

// coreArrows narrows the arrows inside core: bencode ← metainfo ← wire ← swarm,
// and the structured and the unstructured network know nothing of each other.
var coreArrows = []struct{ from, never string }{
	{"bencode", "*"},
	{"metainfo", "wire"}, {"metainfo", "swarm"}, {"metainfo", "kad"}, {"metainfo", "mesh"}, {"metainfo", "search"},
	{"wire", "swarm"}, {"wire", "kad"}, {"wire", "mesh"}, {"wire", "search"},
	{"swarm", "kad"}, {"swarm", "mesh"}, {"swarm", "search"},
	{"kad", "mesh"}, {"kad", "search"}, {"kad", "swarm"},
	{"mesh", "kad"}, {"mesh", "search"}, {"mesh", "swarm"},
}

// doors are outside modules that only one room may import, or two. The first that fits counts.
var doors = []struct{ module, rooms string }{
	{"github.com/libp2p/go-yamux/", "internal/adapter/overlay bench/transfer"}, // the second measures the limit of the first
	{"github.com/libp2p/", "internal/adapter/overlay"},
	{"github.com/multiformats/", "internal/adapter/overlay"},
	{"modernc.org/sqlite", "internal/adapter/store"},
	{"github.com/spf13/", "internal/door/cli"},
	{"rsc.io/qr", "internal/door/cli"},
	{"github.com/BurntSushi/toml", "internal/node"},
}

// roomOf finds the room a folder belongs to.
func roomOf(dir string) (string, []string, bool) {
	for _, r := range rooms {
		if within(dir, r.room) {
			return r.room, r.may, true
		}
	}
	return "", nil, false
}

// TestRoomsAreKnown keeps packages in the rooms of the house plan.
func TestRoomsAreKnown(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t).all {
		if seen[s.dir()] {
			continue
		}
		seen[s.dir()] = true
		if _, _, ok := roomOf(s.dir()); !ok {
			t.Errorf("%s: no room of the house; a new room needs a reason (internal/meta/arrows_test.go)", s.dir())
		}
	}
}

// TestArrows keeps who may import whom, tests included.
func TestArrows(t *testing.T) {
	tr := sources(t)
	for _, s := range tr.all {
		room, may, ok := roomOf(s.dir())
		if !ok {
			continue
		}
		for imp, line := range s.imports(tr) {
			dir, mine := own(imp)
			if !mine || allowed(s.dir(), room, dir, may) {
				continue
			}
			t.Errorf("%s:%d: %s must not import %s", s.path, line, room, imp)
		}
	}
}

// allowed says whether a package in folder from (of room) may import folder to.
func allowed(from, room, to string, may []string) bool {
	if room == "internal/adapter" && within(to, room) {
		return within(to, from) || within(from, to) // one adapter never sees another
	}
	if within(to, room) {
		return true
	}
	for _, m := range may {
		if within(to, m) {
			return true
		}
	}
	return false
}

// TestCoreArrows keeps the order of the packages inside core.
func TestCoreArrows(t *testing.T) {
	tr := sources(t)
	for _, s := range tr.all {
		from, ok := strings.CutPrefix(s.dir(), "internal/core/")
		if !ok {
			continue
		}
		for imp, line := range s.imports(tr) {
			to, ok := strings.CutPrefix(imp, module+"/internal/core/")
			if !ok || within(to, from) {
				continue
			}
			for _, a := range coreArrows {
				if within(from, a.from) && (a.never == "*" || within(to, a.never)) {
					t.Errorf("%s:%d: core/%s must not import core/%s", s.path, line, from, to)
				}
			}
		}
	}
}

// TestDoors keeps outside modules behind the one room that is their door.
func TestDoors(t *testing.T) {
	tr := sources(t)
	for _, s := range tr.all {
		for imp, line := range s.imports(tr) {
			for _, d := range doors {
				if !strings.HasPrefix(imp, d.module) {
					continue
				}
				if !slices.ContainsFunc(strings.Fields(d.rooms), func(room string) bool { return within(s.dir(), room) }) {
					t.Errorf("%s:%d: only %s may import %s", s.path, line, d.rooms, imp)
				}
				break
			}
		}
	}
}

// TestRoomsTableIsOrdered makes sure that no room hides another: a room that lies
// in another one must stand before it.
func TestRoomsTableIsOrdered(t *testing.T) {
	for i, r := range rooms {
		for _, later := range rooms[i+1:] {
			if within(later.room, r.room) {
				t.Errorf("%s stands behind %s and is never reached", later.room, r.room)
			}
		}
	}
}

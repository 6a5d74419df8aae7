// Package doctor judges what may keep a node from its work, and says of each thing what it
// means and what to do about it, in words for people who have read no manual.
//
// Judge is a function of Facts alone: who runs the node gathers those of the network, Look
// those of the home and this machine. Look writes one small file into the home, to measure
// the disk, and removes it; nothing else here changes anything, and nothing sends a packet.
package doctor

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"shoal/internal/door/api"
)

// Facts are what is known of a node and its surroundings. The zero value of a field is
// "nothing is known" unless its comment says otherwise.
type Facts struct {
	Failed  *api.Error // why no node can start for this home; nil: one runs, and was asked
	Offline bool       // the node is that of a command that only looks: the network was not tried
	Scope   string     // loopback, lan or internet

	Key   Key
	Clock Clock
	Disk  Disk
	Files Files

	Port    Port
	UDP     UDP
	IPv6    IPv6
	Reach   Reach
	Mapping Mapping
	DHT     DHT
	LAN     LAN
	Members Members
	Relays  Relays
	Shares  []string // one line for each share that failed
	Changed []string // one line for each share whose files are not what they were
}

// Key is the file of the node's key.
type Key struct {
	Path    string
	Missing bool
	Err     string // why it cannot be read
	Damaged bool   // it is read, and is no key
	Mode    fs.FileMode
}

// Clock is what this machine's clock can be compared with.
type Clock struct {
	Now     time.Time
	Latest  time.Time       // the latest time that is known to have passed: of files of the home, of what members signed
	Offsets []time.Duration // of other nodes' clocks: positive where theirs are ahead
}

// Disk is the file system that the home lies on.
type Disk struct {
	Dir         string
	Err         string // why a file could not be written, or read back
	Write, Read int64  // bytes a second
	Free, Total int64
	Reserve     int64 // what is to be left free
}

// Files are the process's open files, sockets among them.
type Files struct {
	Limit uint64 // 0: not known
	Open  uint64
	Want  uint64 // what the configuration may lead to
}

// Port is the one port for other nodes.
type Port struct {
	Wanted, Got int    // Wanted 0: any; Got 0: none is open
	Holder      string // the process that has Wanted, if it is another and the system tells
}

// Judge says what the facts mean: one finding of each check, always in the same order.
func Judge(f Facts) []api.Finding {
	var out []api.Finding
	for _, c := range []struct {
		check string
		judge func(*Facts) api.Finding
		net   bool // it needs a node that reaches others
	}{
		{"node", node, false}, {"key", key, false}, {"clock", clock, false},
		{"disk", disk, false}, {"reserve", reserve, false}, {"files", files, false},
		{"port", port, true}, {"udp", udp, true}, {"ipv6", ipv6, true}, {"reach", reach, true}, {"mapping", mapping, true},
		{"dht", dht, true}, {"lan", lan, true}, {"members", members, true}, {"relays", relays, true},
		{"shares", shares, true},
	} {
		finding := skipped("no node runs to try it")
		if !c.net || f.Failed == nil && !f.Offline {
			finding = c.judge(&f)
		}
		finding.Check = c.check
		out = append(out, finding)
	}
	return out
}

func ok(what string, args ...any) api.Finding {
	return api.Finding{Verdict: api.VerdictOK, What: fmt.Sprintf(what, args...)}
}

func skipped(what string, args ...any) api.Finding {
	return api.Finding{Verdict: api.VerdictSkipped, What: fmt.Sprintf(what, args...)}
}

// wrong is what is not as it should be: what it is, what that means, what to do.
func wrong(v api.Verdict, what, means, do string) api.Finding {
	return api.Finding{Verdict: v, What: what, Means: means, Do: do}
}

func warn(what, means, do string) api.Finding { return wrong(api.VerdictWarn, what, means, do) }
func bad(what, means, do string) api.Finding  { return wrong(api.VerdictBad, what, means, do) }

func node(f *Facts) api.Finding {
	if e := f.Failed; e != nil {
		do := e.Remedy
		if do == "" {
			do = "mend that, then run shoal doctor again"
		}
		what := api.Error{Kind: e.Kind, Subject: e.Subject, Reason: e.Reason, Cause: e.Cause}
		return bad("no node can start: "+what.Error(), "nothing can be shared or fetched", do)
	}
	if f.Offline {
		return warn("none runs for this home", "what you share is not offered, and members of your groups cannot reach you", "run shoal up, and shoal doctor again while it runs")
	}
	return ok("it runs")
}

func key(f *Facts) api.Finding {
	k := &f.Key
	switch {
	case k.Missing:
		return ok("there is none yet; it is made when a node first runs")
	case k.Err != "":
		return bad(fmt.Sprintf("%s cannot be read: %s", k.Path, k.Err), "no node can start: with another key it would be another node to everybody", "see that you own this file and may read it")
	case k.Damaged:
		return bad(k.Path+" holds no key", "no node can start: with another key it would be another node to everybody",
			"bring the file back from a copy; if there is none, move it away, and join your groups again with new tickets")
	case k.Mode.Perm()&0o077 != 0:
		return bad(fmt.Sprintf("others on this machine may read %s (mode %04o)", k.Path, k.Mode.Perm()), "who has read it can pretend to be this node, so none starts", "run: chmod 600 "+k.Path)
	}
	return ok("it is there, and nobody else can read it")
}

// A clock that is off by more than these is worth a word, or in the way: tickets and signed
// entries carry times.
const (
	offWarn = 2 * time.Minute
	offBad  = 15 * time.Minute
)

// plausible are the times between which this program is used.
var plausible = [2]time.Time{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)}

func clock(f *Facts) api.Finding {
	c := &f.Clock
	const means = "tickets seem to have expired or not to hold yet, and web addresses with TLS fail"
	const do = "set the clock: turn on automatic time in the settings of the system"
	says := c.Now.UTC().Format("2006-01-02 15:04:05 UTC")
	if c.Now.Before(plausible[0]) || c.Now.After(plausible[1]) {
		return bad("it says "+says+", which cannot be", means, do)
	}
	if n := len(c.Offsets); n > 0 {
		sorted := slices.Sorted(slices.Values(c.Offsets))
		off := sorted[n/2]
		what := fmt.Sprintf("it is %s %s that of %s", span(off.Abs()), map[bool]string{true: "behind", false: "ahead of"}[off > 0], others(n))
		switch {
		case off.Abs() >= offBad:
			return bad(what, means, do)
		case off.Abs() >= offWarn:
			return warn(what, "tickets may seem to have expired or not to hold yet", do)
		}
		return ok("%s, which agrees with that of %s", says, others(n))
	}
	if late := c.Latest.Sub(c.Now); late >= offWarn {
		return warn(fmt.Sprintf("it says %s, but what lies in this home was written or signed %s later", says, span(late)), "it was set back, or is slow: then tickets seem not to hold yet", do)
	}
	return ok("%s; there is nobody to compare it with", says)
}

func others(n int) string {
	if n == 1 {
		return "another node"
	}
	return fmt.Sprintf("%d other nodes", n)
}

// span is a time in its two largest units.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	days := int(d / (24 * time.Hour))
	h, m, s := int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0:
		return strings.TrimSuffix(fmt.Sprintf("%d d %d h", days, h), " 0 h")
	case h > 0:
		return strings.TrimSuffix(fmt.Sprintf("%d h %d min", h, m), " 0 min")
	case m > 0:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", m, s), " 0 s")
	}
	return fmt.Sprintf("%d s", s)
}

// slowDisk is less than a good home connection brings.
const slowDisk = 20_000_000

func disk(f *Facts) api.Finding {
	d := &f.Disk
	if d.Err != "" {
		return bad(fmt.Sprintf("a file in %s cannot be written and read back: %s", d.Dir, d.Err), "nothing can be fetched, and no progress is kept", "see that the disk is not full or broken and that the folder is yours, or choose another with --home DIR")
	}
	if d.Write == 0 {
		return skipped("its speed was not measured")
	}
	speed := fmt.Sprintf("it writes %s", api.Rate(d.Write))
	if d.Read > 0 {
		speed += fmt.Sprintf(" and reads %s", api.Rate(d.Read))
	}
	if d.Write < slowDisk || d.Read > 0 && d.Read < slowDisk {
		return warn(speed+" where "+d.Dir+" lies", "nothing is fetched or sent faster than the disk is", "keep downloads (get -o DIR) and the home (--home DIR) on a faster disk, and let other programs that use it rest")
	}
	return ok("%s", speed)
}

// roomy is free space beyond the reserve at which nobody needs a word.
const roomy = 5_000_000_000

func reserve(f *Facts) api.Finding {
	d := &f.Disk
	kept := api.FormatSize(d.Reserve) + " are kept free (disk.reserve)"
	switch beyond := d.Free - d.Reserve; {
	case d.Total == 0:
		return skipped("the system does not tell how much space is free")
	case beyond <= 0:
		return bad(fmt.Sprintf("%s are free, and %s", api.FormatSize(d.Free), kept), "nothing more can be fetched to this disk", "make room, or lower disk.reserve in config.toml")
	case beyond < roomy:
		return warn(fmt.Sprintf("%s are free, of which %s", api.FormatSize(d.Free), kept), "no more than "+api.FormatSize(beyond)+" can be fetched to this disk", "make room, or fetch to another disk (get -o DIR)")
	}
	return ok("%s are free, of which %s", api.FormatSize(d.Free), kept)
}

func files(f *Facts) api.Finding {
	l := &f.Files
	if l.Limit == 0 {
		return skipped("the system does not tell how many files may be open")
	}
	what := fmt.Sprintf("%d may be open at a time, %d are; this node may need %d", l.Limit, l.Open, l.Want)
	do := fmt.Sprintf("allow more (ulimit -n %d before shoal up), or lower network.connections in config.toml", l.Want)
	switch {
	case l.Open+l.Open/10 >= l.Limit || l.Want/4 > l.Limit:
		return bad(what, "connections and files of shares fail", do)
	case l.Want > l.Limit:
		return warn(what, "with many peers, connections and files of shares fail", do)
	}
	return ok("%s", what)
}

func shares(f *Facts) api.Finding {
	switch {
	case len(f.Shares) > 0:
		return bad(first(f.Shares), "it is neither fetched nor offered until that is mended", "mend it, then run shoal resume with its name; shoal ls lists those that failed")
	case len(f.Changed) > 0:
		return warn(first(f.Changed), "what is missing is not offered to others", "put back what is missing and run shoal verify, or forget the share with shoal rm")
	}
	return ok("none has failed")
}

// first is the first of some, and how many there are beside.
func first(list []string) string {
	if n := len(list); n > 1 {
		return fmt.Sprintf("%s (and %d more)", list[0], n-1)
	}
	return list[0]
}

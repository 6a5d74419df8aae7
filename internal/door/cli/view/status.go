package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// Status is what the node does; running: it is not that of this command, and reaches others.
func (p Page) Status(st api.Status, h api.Health, running bool) {
	t := &term.Table{}
	if running {
		t.Add("node", fmt.Sprintf("runs since %s (%s), process %d", Time(st.Started), term.FormatETA(time.Since(st.Started).Seconds()), st.PID))
	} else {
		t.Add("node", "does not run; `shoal up` runs it")
	}
	t.Add("home", api.Safe(st.Home))
	t.Add("id", st.NodeID)
	t.Add("scope", st.Scope)
	if running {
		t.Add("peers on", strings.Join(st.Listen, " "))
		if st.API != "" {
			t.Add("API", st.API)
		}
		addReach(t, st)
	}
	t.Add("shares", fmt.Sprintf("%d: %d seeding, %d downloading, %d paused, %d failed", st.Shares, st.Seeding, st.Downloading, st.Paused, st.Failed))
	if running {
		t.Add("peers", fmt.Sprint(st.Peers))
		t.Add("down", fmt.Sprintf("%s since the start, %s now, limit %s", api.FormatSize(st.Downloaded), Rate(st.DownRate), st.Limits.Down))
		t.Add("up", fmt.Sprintf("%s since the start, %s now, limit %s", api.FormatSize(st.Uploaded), Rate(st.UpRate), st.Limits.Up))
		t.Add("memory", api.FormatSize(st.Memory))
	} else {
		t.Add("limits", fmt.Sprintf("up %s, down %s", st.Limits.Up, st.Limits.Down))
	}
	t.Add("disk", api.FormatSize(st.DiskFree)+" free")
	for _, r := range h.Reasons {
		t.Add("problem", api.Safe(r))
	}
	t.Write(p.w)
}

// addReach adds how others are reached, and reach this node.
func addReach(t *term.Table, st api.Status) {
	if st.Reach != nil {
		t.Add("reached", reachText(st.Reach, st.Scope))
	}
	if d := st.DHT; d != nil {
		t.Add("DHT", dhtText(d, st.Scope))
	}
	if st.Groups > 0 {
		t.Add("members", fmt.Sprintf("%d of %d online, in %s", st.Online, st.Members, term.Count(st.Groups, "group")))
	}
	if r := st.Relay; r != nil && st.Groups > 0 {
		text := "nothing for members (network.relay)"
		if r.Budget > 0 {
			text = fmt.Sprintf("%s of %s today, for members", api.FormatSize(r.Used), api.FormatSize(r.Budget))
		}
		t.Add("relayed", text)
	}
}

// reachText says whether others reach this node, and where.
func reachText(r *api.Reach, scope string) string {
	switch scope {
	case "loopback":
		return "from this machine alone (scope loopback)"
	case "lan":
		return "from the local network alone (scope lan)"
	}
	var through []string
	for _, n := range r.Relays {
		through = append(through, Node(n.NodeID, n.Name))
	}
	var text string
	switch {
	case r.Open == api.OpenYes:
		text = "from outside"
		if len(r.Reachable) > 0 {
			text += " at " + api.Safe(strings.Join(r.Reachable, ", "))
		}
	case r.Open == api.OpenNo && len(through) == 0:
		return "not from outside; `shoal doctor` says what to do"
	case r.Open == api.OpenNo:
		return "not from outside, but through " + strings.Join(through, ", ") + "; `shoal doctor` says what to do"
	default:
		text = "nobody has tested yet whether from outside"
		if len(r.Seen) > 0 {
			text += "; seen at " + api.Safe(strings.Join(r.Seen, ", "))
		}
		if len(through) > 0 {
			text += "; through " + strings.Join(through, ", ")
		}
	}
	switch at := strings.Join(r.Mapped, ", "); {
	case at == "":
	case at == strings.Join(r.Reachable, ", ") && r.Open == api.OpenYes:
		text += ", mapped by the router"
	default:
		text += ", the router passes " + api.Safe(at) + " on"
	}
	return text
}

func dhtText(d *api.DHTStatus, scope string) string {
	switch {
	case !d.Enabled:
		return "not used"
	case !d.Ready && d.Nodes == 0 && scope != "internet":
		return "no node is known in scope " + scope
	case !d.Ready && d.Nodes == 0:
		return "no node is known yet"
	}
	text := term.Count(d.Nodes, "node")
	if d.Size > 0 {
		text += ", of a network of about " + aboutCount(d.Size)
	}
	if !d.Ready {
		text += ", looking for more"
	}
	return text
}

// aboutCount is an estimate in as many digits as it is worth.
func aboutCount(n int64) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%.1f million", float64(n)/1e6)
	}
	return strconv.FormatInt(n, 10)
}

// fewContacts is how many members status shows; peers shows all.
const fewContacts = 8

// Around lists members and the ways to find peers, beneath the status.
func (p Page) Around(st api.Status, all api.Peers) {
	if len(all.Members) > 0 {
		p.line("")
		p.Contacts(all.Members, fewContacts)
	}
	if t := locatorTable(st.Locators, p.width); !t.Empty() {
		p.line("")
		t.Write(p.w)
	}
}

// locatorTable shows what ways to find peers cost and yield.
func locatorTable(list []api.LocatorStatus, width int) *term.Table {
	t := &term.Table{Head: []string{"FOUND BY", "QUESTIONS", "TRAFFIC", "ADDRESSES", "TRIED", "PEERS", "GAVE"},
		Right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true}, Width: width, Spare: []int{1, 2, 4, 3}}
	for _, l := range list {
		if l == (api.LocatorStatus{Name: l.Name}) {
			continue // it had nothing to do
		}
		t.Add(api.Safe(l.Name), dashOr(l.Asked), sizeOrDash(l.Sent), dashOr(l.Found), dashOr(l.Dialled), dashOr(l.Connected), sizeOrDash(l.Useful))
	}
	return t
}

package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// Shares is what `ls` shows.
func (p Page) Shares(list []api.Share) {
	t := shareTable(list)
	t.Width, t.Spare = p.width, []int{6, 5, 4, 2, 7}
	t.Write(p.w)
}

// shareTable has a row for each share; for whom it is, where one is not for everybody.
func shareTable(list []api.Share) *term.Table {
	t := &term.Table{Head: []string{"NAME", "STATE", "SIZE", "DONE", "DOWN", "UP", "PEERS", "INFO HASH"},
		Right: map[int]bool{2: true, 3: true, 4: true, 5: true, 6: true}, Cut: map[int]int{0: 40, 8: 30}}
	to := slices.ContainsFunc(list, func(s api.Share) bool { return len(s.Groups) > 0 })
	if to {
		t.Head = append(t.Head, "FOR")
	}
	for _, s := range list {
		cells := []string{api.Safe(s.Name), State(s), sizeOf(s), donePart(s), Rate(s.DownRate), Rate(s.UpRate),
			strconv.Itoa(s.Peers), Short(s.InfoHash)}
		if to {
			who := "everybody"
			if len(s.Groups) > 0 {
				who = groupNames(s.Groups)
			}
			cells = append(cells, who)
		}
		t.Add(cells...)
	}
	return t
}

// State is the state in a word. Originals that lack pieces are never fetched, nor is by itself
// what was complete: somebody changed or removed them.
func State(s api.Share) string {
	if s.Origin == api.OriginShare && s.State == api.StateDownloading || s.State == api.StateSeeding && s.BytesDone < s.BytesWanted {
		return changed
	}
	return string(s.State)
}

const changed = "changed"

func sizeOf(s api.Share) string {
	if s.State == api.StateMetadata || s.Pieces == 0 && s.Bytes == 0 {
		return "-"
	}
	return api.FormatSize(s.BytesWanted)
}

// donePart never rounds up to 100 % what is not complete.
func donePart(s api.Share) string {
	switch {
	case s.State == api.StateMetadata:
		return "-"
	case s.BytesDone >= s.BytesWanted:
		return "100 %"
	}
	return fmt.Sprintf("%d %%", min(99, s.BytesDone*100/max(s.BytesWanted, 1)))
}

// Metainfo is what a .torrent says.
func (p Page) Metainfo(m api.Metainfo) {
	t := &term.Table{}
	t.Add("name", api.Safe(m.Name))
	if m.RawName != "" {
		t.Add("", "in the file: "+api.Safe(m.RawName))
	}
	t.Add("format", m.Format)
	addHashes(t, m.InfoHashV1, m.InfoHashV2)
	t.Add("size", fmt.Sprintf("%s (%d bytes) in %s", api.FormatSize(m.Bytes), m.Bytes, term.Count(m.Files, "file")))
	t.Add("pieces", fmt.Sprintf("%d of %s", m.Pieces, Piece(m.PieceLength)))
	if m.Padding > 0 {
		t.Add("padding", api.FormatSize(m.Padding))
	}
	if m.Private {
		t.Add("private", "yes")
	}
	if len(m.Groups) > 0 {
		t.Add("for", "the members of "+strings.Join(m.Groups, ", "))
	}
	for i, tier := range m.Trackers {
		t.Add("tracker", fmt.Sprintf("tier %d: %s", i+1, api.Safe(strings.Join(tier, " "))))
	}
	for _, w := range m.WebSeeds {
		t.Add("web seed", api.Safe(w))
	}
	if m.Comment != "" {
		t.Add("comment", api.Safe(m.Comment))
	}
	if m.CreatedBy != "" {
		t.Add("made by", api.Safe(m.CreatedBy)+", "+Time(m.Created))
	}
	t.Add("link", api.Safe(m.Link))
	t.Write(p.w)
	files := &term.Table{Right: map[int]bool{0: true}}
	for _, f := range m.FileList {
		note := ""
		switch {
		case f.Symlink:
			note = "a link, which is not made"
		case f.Raw != "":
			note = "in the file: " + api.Safe(f.Raw)
		}
		files.Add(api.FormatSize(f.Bytes), api.Safe(f.Path), note)
	}
	p.line("")
	files.Write(p.w)
}

func addHashes(t *term.Table, v1, v2 string) {
	if v1 != "" {
		t.Add("v1 hash", v1)
	}
	if v2 != "" {
		t.Add("v2 hash", v2)
	}
}

// Detail is everything about a share of the node.
func (p Page) Detail(d api.Detail) {
	t := &term.Table{}
	t.Add("name", api.Safe(d.Name))
	t.Add("path", api.Safe(d.Path))
	if len(d.Groups) > 0 {
		t.Add("for", Audience(d.Groups))
	}
	state := State(d.Share)
	switch {
	case d.Problem != "":
		state += ": " + api.Safe(d.Problem)
	case state == changed && d.Origin == api.OriginShare:
		state += ": files were changed or removed; put them back, and `shoal verify` looks again"
	case state == changed:
		state += ": files were changed or removed; `shoal get` fetches them again"
	}
	t.Add("state", state)
	t.Add("done", fmt.Sprintf("%s of %s, %d of %s", api.FormatSize(d.BytesDone), sizeOf(d.Share), d.PiecesDone, term.Count(d.Pieces, "piece")))
	t.Add("down", fmt.Sprintf("%s in all, %s now, limit %s", api.FormatSize(d.Downloaded), Rate(d.DownRate), d.Limits.Down))
	t.Add("up", fmt.Sprintf("%s in all, %s now, limit %s", api.FormatSize(d.Uploaded), Rate(d.UpRate), d.Limits.Up))
	if d.Wasted > 0 {
		t.Add("wasted", api.FormatSize(d.Wasted))
	}
	t.Add("format", strings.TrimSpace(d.Format+map[bool]string{true: " private"}[d.Private]))
	addHashes(t, d.InfoHashV1, d.InfoHashV2)
	t.Add("piece", Piece(d.PieceLength))
	t.Add("added", Time(d.Added)+" by "+string(d.Origin))
	t.Add("completed", Time(d.Completed))
	if d.Comment != "" {
		t.Add("comment", api.Safe(d.Comment))
	}
	t.Add("link", api.Safe(d.Link))
	t.Write(p.w)
	p.lists(d)
}

// lists are files, peers, trackers, and how peers were found.
func (p Page) lists(d api.Detail) {
	files := &term.Table{Head: []string{"SIZE", "DONE", "FILE"}, Right: map[int]bool{0: true, 1: true}}
	for _, f := range d.FileList {
		done := "not wanted"
		if f.Selected {
			done = donePart(api.Share{BytesDone: f.Done, BytesWanted: f.Bytes})
		}
		files.Add(api.FormatSize(f.Bytes), done, api.Safe(f.Path))
	}
	peers := &term.Table{Head: []string{"PEER", "CLIENT", "HAS", "DOWN", "UP", "FLAGS"}, Right: map[int]bool{2: true, 3: true, 4: true}, Cut: map[int]int{1: 30}}
	for _, q := range d.PeerList {
		peers.Add(peerName(q), api.Safe(q.Client), percent(q.Have), Rate(q.DownRate), Rate(q.UpRate), q.Flags)
	}
	trackers := &term.Table{Head: []string{"TRACKER", "SEEDERS", "LEECHERS", "SAYS"}, Right: map[int]bool{1: true, 2: true}, Cut: map[int]int{3: 60}}
	for _, tr := range d.Trackers {
		trackers.Add(api.Safe(tr.URL), unknownOr(tr.Seeders), unknownOr(tr.Leechers), api.Safe(tr.Message))
	}
	peers.Width, peers.Spare = p.width, []int{1, 5, 4, 3}
	for _, t := range []*term.Table{files, peers, trackers, locatorTable(d.Locators, p.width)} {
		if !t.Empty() {
			p.line("")
			t.Write(p.w)
		}
	}
}

func unknownOr(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// groupName is a group for people: its name, or what of its id names it where this node is
// in no such group any more.
func groupName(g api.GroupRef) string {
	if g.Name == "" {
		return Short(g.ID)
	}
	return api.Safe(g.Name)
}

func groupNames(list []api.GroupRef) string {
	var names []string
	for _, g := range list {
		names = append(names, groupName(g))
	}
	return strings.Join(names, ", ")
}

// Audience says who can see and fetch a share for groups.
func Audience(list []api.GroupRef) string {
	if len(list) != 1 {
		var parts []string
		for _, g := range list {
			how := fmt.Sprint(g.Members)
			if g.Name == "" {
				how = "this node is no more"
			}
			parts = append(parts, groupName(g)+" ("+how+")")
		}
		return "the members of " + strings.Join(parts, " and ")
	}
	g := list[0]
	switch {
	case g.Name == "":
		return "the members of group " + Short(g.ID) + ", in which this node is no more"
	case g.Members == 1:
		return "the members of " + groupName(g) + ", so far this node alone"
	}
	return fmt.Sprintf("the %d members of %s", g.Members, groupName(g))
}

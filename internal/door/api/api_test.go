package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"shoal/internal/core/metainfo"
)

func TestParseRate(t *testing.T) {
	for in, want := range map[string]Rate{
		"0": 0, "unlimited": 0, "none": 0, "OFF": 0, "1": 1, "1000": 1000,
		"500K": 500_000, "500k": 500_000, "500KB": 500_000, "500 kB": 500_000, "20MB": 20_000_000, "20mb": 20_000_000,
		"20MB/s": 20_000_000, "20MBps": 20_000_000, "1.5MiB/s": 1_572_864, "1Ki": 1024, "1KiB": 1024, "2G": 2_000_000_000,
		"80Mbit/s": 10_000_000, "80mbit": 10_000_000, "8bit": 1, "0.5K": 500, "20.0 MB/s": 20_000_000, " 7 ": 7, "1B": 1,
	} {
		if got, err := ParseRate(in); err != nil || got != want {
			t.Errorf("%q: %d %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "fast", "-1", "20Mb", "20Gb/s", "1e6", "1,5M", "MB", ".", "1..5K", "1K K", "99999999999T", "1bit", "0.4", "0.0001K", "0.1bit", "１", "20MBB", "0x10",
		"\x1b[31m", strings.Repeat("9", 400)} {
		if got, err := ParseRate(in); KindOf(err) != Invalid || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%q: %d %v", in, got, err)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"500K", "1.5MiB/s", "80Mbit/s", "unlimited", "20Mb", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRate(s)
		if err != nil {
			return
		}
		if r < 0 || r > MaxRate {
			t.Fatalf("%q is %d", s, r)
		}
		again, err := ParseRate(r.String())
		if err != nil || r != 0 && (again < r-r/200-1 || again > r+r/200+1) { // three digits
			t.Errorf("%d is written %q, which reads %d, %v", r, r, again, err)
		}
	})
}

func TestParseSizes(t *testing.T) {
	for in, want := range map[string]int64{"1048576": 1 << 20, "256KiB": 256 << 10, "1.5GB": 1_500_000_000, "0": 0, "2T": 2e12} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("%q: %d %v", in, got, err)
		}
	}
	for in, want := range map[string]int64{"16K": 16 << 10, "256KiB": 256 << 10, "256KB": 256 << 10, "1M": 1 << 20, "16MiB": 16 << 20, "65536": 65536} {
		if got, err := ParsePieceSize(in); err != nil || got != want {
			t.Errorf("piece %q: %d %v", in, got, err)
		}
	}
	for _, in := range []string{"0.3", "", "1.5X"} {
		if got, err := ParseSize(in); KindOf(err) != Invalid {
			t.Errorf("%q: %d %v", in, got, err)
		}
	}
	for _, in := range []string{"", "8K", "32M", "100K", "0", "-16K", "16Q", "x"} {
		if got, err := ParsePieceSize(in); KindOf(err) != Invalid {
			t.Errorf("piece %q: %d %v", in, got, err)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 1234: "1.23 kB", 12345: "12.3 kB", 999_499: "999 kB",
		999_999: "1.00 MB", 1e6: "1.00 MB", 18_400_000_000: "18.4 GB", 1e15: "1.00 PB", 1 << 62: "4612 PB"} {
		if got := FormatSize(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain":               "plain",
		"größer 日本 🐟":         "größer 日本 🐟",
		`back\slash`:          `back\slash`,
		"\x1b[31mred\a":       `\x1b[31mred\a`,
		"two\nlines\ttab":     `two\nlines\ttab`,
		"abc\u202egpj.exe":    `abc\u202egpj.exe`,
		"zero\u200bwidth":     `zero\u200bwidth`,
		"bom\ufeff":           `bom\ufeff`,
		"line\u2028separator": `line\u2028separator`,
		"no\u00a0break":       `no\u00a0break`,
		"bad\xff\xc0utf":      `bad\xff\xc0utf`,
		"del\x7f\u0085":       `del\x7f\u0085`,
		"":                    "",
	} {
		if got := Safe(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func FuzzSafe(f *testing.F) {
	f.Add("a\x1b\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Safe(s)
		if !utf8.ValidString(got) || !isSafe(got) || Safe(got) != got {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// TestKinds keeps the table append-only: this list may only grow at its end.
func TestKinds(t *testing.T) {
	want := "internal 500 1, invalid 400 2, not_found 404 3, ambiguous 409 2, unreachable 504 3, bad_data 422 4, disk_full 507 5, path 424 5, " +
		"refused 403 6, exists 409 6, out_of_scope 403 6, locked 409 6, port_taken 409 1, unauthorized 401 6, too_large 413 2, too_many 429 1, " +
		"media_type 415 2, method 405 2, unavailable 503 1, interrupted 499 130, unwell 503 1"
	var got []string
	for _, k := range Kinds() {
		got = append(got, fmt.Sprint(k, k.Status(), k.Exit()))
		if k.Title() == "" || !k.Known() {
			t.Errorf("%s: no title", k)
		}
	}
	have := strings.Join(strings.Fields(strings.Join(got, ", ")), " ")
	if strings.ReplaceAll(have, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got  %s\nwant %s", have, want)
	}
	if newer := Kind("from_a_newer_node"); newer.Known() || newer.Exit() != 1 || newer.Status() != 500 {
		t.Error("an unknown kind is no failure")
	}
}

func TestKindOf(t *testing.T) {
	_, notThere := os.Open(filepath.Join(t.TempDir(), "x"))
	_, refusal := metainfo.Parse([]byte("nonsense"))
	for _, tc := range []struct {
		err  error
		want Kind
	}{
		{errors.New("odd"), Internal},
		{fmt.Errorf("x: %w", Errorf(Exists, "y", "z")), Exists},
		{context.Canceled, Interrupted},
		{context.DeadlineExceeded, Unreachable},
		{&fs.PathError{Err: syscall.ENOSPC}, DiskFull},
		{&fs.PathError{Err: syscall.EROFS}, Path},
		{&fs.PathError{Err: syscall.EACCES}, Path},
		{notThere, Path},
		{syscall.EADDRINUSE, PortTaken},
		{refusal, BadData},
	} {
		if got := KindOf(tc.err); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	e := Errorf(Exists, "na\x1bme", "it is %s", "there").Try("give another %s", "name")
	if got, want := e.Error(), `na\x1bme: it is there; give another name`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b, err := json.Marshal(ProblemOf(fmt.Errorf("wrapped: %w", e)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"urn:shoal:problem:exists","title":"It would overwrite something","status":409,"detail":"it is there",` +
		`"subject":"na\u001bme","remedy":"give another name","code":"exists","exit":6}`
	if string(b) != want {
		t.Errorf("%s\nwant %s", b, want)
	}
	var p Problem
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	if back := p.Err(); *back != (Error{Kind: Exists, Subject: "na\x1bme", Reason: "it is there", Remedy: "give another name"}) {
		t.Errorf("came back as %+v", back)
	}
	if p := (Problem{Type: "https://example/errors/refused"}); p.Err().Kind != Refused {
		t.Errorf("the type of another server: %v", p.Err())
	}
	if AsError(nil) != nil {
		t.Error("nil became an error")
	}
	if got := (&Error{Kind: DiskFull}).Error(); got != "There is not enough space" {
		t.Errorf("without a reason: %q", got)
	}
}

func TestBus(t *testing.T) {
	var b Bus
	if b.Listening() {
		t.Error("somebody listens")
	}
	b.Publish(&Notice{}) // to nobody
	one, two := b.Subscribe(2), b.Subscribe(8)
	for i := range 5 {
		b.Publish(&Notice{Text: fmt.Sprint(i)})
	}
	if one.Missed() != 3 || one.Missed() != 0 || two.Missed() != 0 {
		t.Error("wrong count of what was missed")
	}
	if n := (<-one.C()).(*Notice); n.Text != "0" {
		t.Errorf("the oldest is kept, got %q", n.Text)
	}
	one.Close()
	one.Close()
	b.Publish(&Notice{})
	b.Close()
	n := 0
	for range two.C() {
		n++
	}
	if n != 6 {
		t.Errorf("%d events before the end", n)
	}
	if _, ok := <-b.Subscribe(1).C(); ok || b.Listening() {
		t.Error("a closed bus has listeners")
	}
	two.Close()
}

// TestEventsAreFlat keeps the form of events: the name first, no nested head.
func TestEventsAreFlat(t *testing.T) {
	done := &Done{Head: Head{Event: EventDone, InfoHash: "ab"}, Path: "/x", Bytes: 1, Wasted: 2, Seconds: 0.5, Peers: []Source{}}
	b, err := json.Marshal(done)
	if want := `{"event":"done","info_hash":"ab","path":"/x","bytes":1,"wasted":2,"seconds":0.5,"peers":[]}`; err != nil || string(b) != want {
		t.Errorf("%s %v, want %s", b, err, want)
	}
	b, err = json.Marshal(&Ready{Head: Head{Event: EventReady}, API: "http://127.0.0.1:7462", Listen: []string{"127.0.0.1:7463"}, NodeID: "x"})
	if want := `{"event":"ready","api":"http://127.0.0.1:7462","listen":["127.0.0.1:7463"],"node_id":"x"}`; err != nil || string(b) != want {
		t.Errorf("%s %v, want %s", b, err, want)
	}
	for _, name := range []string{EventReady, EventShare, EventRemoved, EventProgress, EventDone, EventChanged, EventPenalised, EventTracker, EventNotice, EventMissed, EventHashing,
		EventGroupJoined, EventGroupLeft, EventMemberJoined, EventMemberRemoved} {
		e, err := DecodeEvent(name, []byte(`{"event":"`+name+`","info_hash":"ab","more":1}`))
		if err != nil || HeadOf(e).Event != name || HeadOf(e).InfoHash != "ab" {
			t.Errorf("%s: %v %v", name, e, err)
		}
		if _, plain := e.(*Head); plain {
			t.Errorf("%s is not known", name)
		}
	}
	if e, err := DecodeEvent("newer", []byte(`{"event":"newer"}`)); err != nil || HeadOf(e).Event != "newer" {
		t.Errorf("a newer event: %v %v", e, err)
	}
	if _, err := DecodeEvent(EventDone, []byte(`[]`)); err == nil {
		t.Error("an array is an event")
	}
}

func TestReadEvents(t *testing.T) {
	var got []string
	each := func(name string, data []byte) error { got = append(got, name+" "+string(data)); return nil }
	text := ":\n\nevent: a\ndata: {\"x\": 1}\n\n: beat\n\nid: 7\nevent: b\ndata: 2\n\nevent: nothing\n\ndata: nameless\n\nevent: cut\ndata: off"
	if err := readEvents(strings.NewReader(text), each); err != nil || strings.Join(got, "|") != `a {"x": 1}|b 2` {
		t.Errorf("%q %v", got, err)
	}
	stop := errors.New("stop")
	if err := readEvents(strings.NewReader(text), func(string, []byte) error { return stop }); err != stop {
		t.Errorf("%v", err)
	}
	if err := readEvents(strings.NewReader("data: "+strings.Repeat("x", maxEvent+1)), each); err == nil {
		t.Error("an endless event")
	}
}

func TestParseMetainfo(t *testing.T) {
	torrent := "d8:announce17:http://192.0.2.1/7:comment2:hi4:infod5:filesld6:lengthi5e4:pathl2:..3:etceee4:name4:a\x1b/b12:piece lengthi16384e6:pieces20:" +
		strings.Repeat("x", 20) + "ee"
	m, err := ParseMetainfo([]byte(torrent))
	if err != nil {
		t.Fatal(err)
	}
	if m.Format != "v1" || m.Bytes != 5 || m.Files != 1 || m.Pieces != 1 || len(m.InfoHash) != 40 || m.InfoHash != m.InfoHashV1 || m.Comment != "hi" ||
		m.RawName != "a\x1b/b" || strings.ContainsAny(m.Name, "/\x1b") || strings.Contains(m.FileList[0].Path, "..") || m.FileList[0].Raw != "../etc" ||
		len(m.Trackers) != 1 || !strings.HasPrefix(m.Link, "magnet:?xt=urn:btih:"+m.InfoHash) {
		t.Errorf("%+v", m)
	}
	if _, err := ParseMetainfo([]byte(torrent[:90])); KindOf(err) != BadData || strings.Contains(err.Error(), "\n") {
		t.Errorf("cut: %v", err)
	}
	l, err := ParseLink(m.Link)
	if err != nil || l.InfoHash != m.InfoHash {
		t.Errorf("link: %+v %v", l, err)
	}
	if _, err := ParseLink("magnet:?xt=urn:btih:zz"); KindOf(err) != BadData {
		t.Errorf("bad link: %v", err)
	}
}

// TestPages keeps docs/cli.md and docs/formats/api.md in step with the kinds and
// events.
func TestPages(t *testing.T) {
	cli, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds() {
		if row := fmt.Sprintf("| %s | %d | %d | %s |", k, k.Status(), k.Exit(), k.Title()); !strings.Contains(string(cli), row) {
			t.Errorf("docs/cli.md lacks %s", row)
		}
	}
	page, err := os.ReadFile("../../../docs/formats/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{EventReady, EventShare, EventRemoved, EventProgress, EventDone, EventChanged, EventPenalised, EventTracker,
		EventNotice, EventMissed, EventHashing, EventResult, EventProblem, EventGroupJoined, EventGroupLeft, EventMemberJoined, EventMemberRemoved} {
		if !strings.Contains(string(page), "| "+e+" |") {
			t.Errorf("docs/formats/api.md lacks the event %s", e)
		}
	}
}

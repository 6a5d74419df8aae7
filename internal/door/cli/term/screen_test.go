package term

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWidths(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "größe": 5, "日本語": 6, "e\u0301": 1, "🐟": 2, "한국": 4, "ａ": 2, "…": 1} {
		if got := Width(s); got != want {
			t.Errorf("%q takes %d columns, want %d", s, got, want)
		}
	}
	for _, tc := range []struct {
		s     string
		width int
		want  string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"abc", 1, "…"}, {"abc", 0, ""}, {"", 0, ""},
	} {
		if got := Fit(tc.s, tc.width); got != tc.want {
			t.Errorf("Fit(%q, %d) = %q, want %q", tc.s, tc.width, got, tc.want)
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	x := &Table{Head: []string{"NAME", "N", "END"}, Right: map[int]bool{1: true}, Cut: map[int]int{0: 6}}
	x.Add("日本", "1", "a")
	x.Add("a long name", "1000", "")
	x.Write(&b)
	want := "NAME       N  END\n日本       1  a\na lon…  1000\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestTableFits: on a narrow terminal the first column gives way, as far as it can.
func TestTableFits(t *testing.T) {
	for width, want := range map[int]string{
		0:  "NAME                  SIZE\na rather long name  100 kB\n",
		26: "NAME                  SIZE\na rather long name  100 kB\n",
		20: "NAME            SIZE\na rather lo…  100 kB\n",
		5:  "NAME            SIZE\na rather lo…  100 kB\n",
	} {
		var b bytes.Buffer
		x := &Table{Head: []string{"NAME", "SIZE"}, Right: map[int]bool{1: true}, Width: width}
		x.Add("a rather long name", "100 kB")
		x.Write(&b)
		if b.String() != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", width, b.String(), want)
		}
	}
}

// TestTableLeavesOut: where that is not enough, columns that can be spared are left out one by
// one, and no more of them than need be.
func TestTableLeavesOut(t *testing.T) {
	for width, want := range map[int]string{
		0:  "NAME                 A    B  C\na rather long name  10  100  end\n",
		26: "NAME           A    B  C\na rather lo…  10  100  end\n",
		25: "NAME               A  C\na rather long n…  10  end\n",
		20: "NAME             C\na rather long …  end\n",
		9:  "NAME          C\na rather lo…  end\n",
	} {
		var b bytes.Buffer
		x := &Table{Head: []string{"NAME", "A", "B", "C"}, Right: map[int]bool{1: true, 2: true}, Width: width, Spare: []int{2, 1}}
		x.Add("a rather long name", "10", "100", "end")
		x.Write(&b)
		if b.String() != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", width, b.String(), want)
		}
	}
}

// TestBarsFit draws bars of every kind at every width: a line must never be wider
// than the screen, or the next drawing would leave pieces of it behind.
func TestBarsFit(t *testing.T) {
	s := &Screen{}
	for _, b := range []Bar{
		{Name: "a.bin", Part: 0.5, Rate: 12_300_000, ETA: 75, Peers: 3},
		{Name: "日本語の長い名前のファイル.mkv", Part: 1, Rate: 1, ETA: 1e9, Peers: 1},
		{Name: "evil\x1b[2J\u202ename", Part: -1, Peers: -1, Note: "looking for it"},
		{Name: "", Part: 0, Peers: 0},
		{Name: "more than all", Part: 1.5, Peers: -1},
		{Name: "less than nothing", Part: math.NaN(), Peers: -1},
	} {
		for width := range 200 {
			line := s.paint(b, width)
			if Width(line) > width || strings.ContainsAny(line, "\x1b\u202e\n") || !utf8.ValidString(line) {
				t.Errorf("%d columns: %q takes %d", width, line, Width(line))
			}
		}
	}
	if got, want := s.paint(Bar{Name: "a.bin", Part: 0.5, Rate: 12_300_000, ETA: 75, Peers: 3}, 100),
		"a.bin"+strings.Repeat(" ", 32)+"  [##########----------]   50 %  12.3 MB/s  1m15s left  3 peers"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// onTerminal is a screen on a terminal of 80 columns that writes into b.
func onTerminal(b *bytes.Buffer) *Screen {
	return &Screen{w: b, Terminal: true, size: func() (int, int) { return 80, 5 }}
}

func TestDrawing(t *testing.T) {
	var b bytes.Buffer
	s := onTerminal(&b)
	now := time.Unix(1000, 0)
	two := []Bar{{Name: "one", Part: 0, Peers: -1}, {Name: "two", Part: 0, Peers: -1}}
	s.Draw(now, false, two)
	if got := b.String(); !strings.HasPrefix(got, "\x1b[?25l\r\x1b[2K") || strings.Count(got, "\n") != 2 {
		t.Errorf("first: %q", got)
	}
	b.Reset()
	s.Draw(now.Add(100*time.Millisecond), false, two)
	if b.Len() != 0 {
		t.Errorf("drawn twice within a fifth of a second: %q", b.String())
	}
	s.Draw(now.Add(200*time.Millisecond), false, two[:1])
	if got := b.String(); !strings.HasPrefix(got, "\x1b[2A\r\x1b[2K") || !strings.HasSuffix(got, "\n\x1b[J") {
		t.Errorf("one less: %q", got)
	}
	b.Reset()
	s.Say("a %s", "message")
	if got := b.String(); got != "\x1b[1A\r\x1b[Ja message\n" {
		t.Errorf("a message between bars: %q", got)
	}
	b.Reset()
	s.Finish()
	s.Finish()
	if got := b.String(); got != "\x1b[?25h" {
		t.Errorf("the cursor: %q", got)
	}
}

// TestMoreBarsThanLines: what has scrolled away can't be drawn again, so no more bars are
// shown than the terminal has lines.
func TestMoreBarsThanLines(t *testing.T) {
	var b bytes.Buffer
	s := onTerminal(&b)
	var many []Bar
	for range 32 {
		many = append(many, Bar{Name: "x", Peers: -1})
	}
	s.Draw(time.Unix(1000, 0), false, many)
	if got := b.String(); strings.Count(got, "\n") != 4 || !strings.Contains(got, "and 29 more") {
		t.Errorf("on five lines: %q", got)
	}
	b.Reset()
	s.Clear()
	if got := b.String(); got != "\x1b[4A\r\x1b[J" {
		t.Errorf("taken away: %q", got)
	}
}

func TestNothingIsDrawnIntoAPipe(t *testing.T) {
	var b bytes.Buffer
	s := New(&b, func(string) string { return "" })
	s.Draw(time.Unix(1000, 0), true, []Bar{{Name: "x"}})
	s.Say("hello")
	s.Finish()
	if b.String() != "hello\n" {
		t.Errorf("%q", b.String())
	}
}

func TestFormatETA(t *testing.T) {
	for s, want := range map[float64]string{0.2: "1s", 59: "59s", 60: "1m00s", 200: "3m20s", 3599.7: "1h00m", 18_420: "5h07m", 300_000: "3d", 1e30: "1157d"} {
		if got := FormatETA(s); got != want {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
	}
}

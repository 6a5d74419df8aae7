package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"shoal/internal/door/api"
)

// Screen is standard error: messages for people, and, on a terminal, bars below
// them that are drawn again and again. Writes of both kinds never mix.
type Screen struct {
	mu       sync.Mutex
	w        io.Writer
	Terminal bool // bars are shown
	colour   bool
	size     func() (columns, lines int)
	drawn    int       // lines of bars on the screen
	last     time.Time // when they were drawn
	hidden   bool      // the cursor is
}

// DrawEvery is the least time between two drawings: at most five a second.
const DrawEvery = 200 * time.Millisecond

// New is a screen on w: standard error. Bars are drawn only where it is a terminal.
func New(w io.Writer, getenv func(string) string) *Screen {
	s := &Screen{w: w}
	f, ok := w.(*os.File)
	if !ok || getenv("TERM") == "dumb" || !IsTerminal(f) {
		return s
	}
	s.Terminal = true
	s.colour = getenv("NO_COLOR") == ""
	s.size = func() (int, int) { return Size(f) }
	return s
}

// Say writes one message; its arguments must be safe already.
func (s *Screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprintf(s.w, format+"\n", args...)
}

// Draw shows the bars, unless they were drawn a moment ago; force draws anyway.
func (s *Screen) Draw(now time.Time, force bool, bars []Bar) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Terminal || !force && now.Sub(s.last) < DrawEvery {
		return
	}
	s.last = now
	width, most := s.room()
	var lines []string
	for i, bar := range bars {
		if i == most-1 && len(bars) > most {
			lines = append(lines, Fit(fmt.Sprintf("and %d more", len(bars)-i), width))
			break
		}
		lines = append(lines, s.paint(bar, width))
	}
	s.redraw(lines)
}

// Show shows lines where the bars are, cut to the size of the terminal, unless something was
// drawn a moment ago; they must be safe already.
func (s *Screen) Show(now time.Time, lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Terminal || now.Sub(s.last) < DrawEvery {
		return
	}
	s.last = now
	width, most := s.room()
	var fit []string
	for _, l := range lines[:min(len(lines), most)] {
		fit = append(fit, Fit(l, width))
	}
	s.redraw(fit)
}

// room is how much can be drawn.
func (s *Screen) room() (width, lines int) {
	width, lines = s.size()
	return width - 1, max(lines-1, 1) // a full last column wraps on some terminals; the cursor stands below the bars
}

// redraw puts lines in the place of those that are drawn.
func (s *Screen) redraw(lines []string) {
	var b strings.Builder
	if !s.hidden {
		b.WriteString("\x1b[?25l")
		s.hidden = true
	}
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	for _, l := range lines {
		b.WriteString("\r\x1b[2K" + l + "\n")
	}
	if len(lines) < s.drawn {
		b.WriteString("\x1b[J")
	}
	s.drawn = len(lines)
	io.WriteString(s.w, b.String())
}

// Clear takes the bars away, as something else is about to be written.
func (s *Screen) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
}

func (s *Screen) wipe() {
	if s.drawn > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\r\x1b[J", s.drawn)
		s.drawn, s.last = 0, time.Time{}
	}
}

// Finish takes the bars away and gives the cursor back.
func (s *Screen) Finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	if s.hidden {
		io.WriteString(s.w, "\x1b[?25h")
		s.hidden = false
	}
}

// Bar is one share's line.
type Bar struct {
	Name  string
	Part  float64 // 0 to 1; negative: not known
	Rate  api.Rate
	ETA   float64 // seconds; 0: not known
	Peers int     // negative: not told
	Note  string  // instead of the percentage
}

// paint is a bar in so many columns: name, percentage, rate, time left, peers,
// and a gauge where there is room.
func (s *Screen) paint(b Bar, width int) string {
	if !(b.Part <= 1) { // NaN too
		b.Part = 1
	}
	var right []string
	if b.Note != "" {
		right = append(right, b.Note)
	}
	if b.Part >= 0 {
		right = append(right, fmt.Sprintf("%3d %%", int(b.Part*100)))
	}
	if b.Rate > 0 {
		right = append(right, fmt.Sprintf("%9s", b.Rate))
	}
	if b.ETA > 0 {
		right = append(right, FormatETA(b.ETA)+" left")
	}
	if b.Peers >= 0 {
		right = append(right, Count(b.Peers, "peer"))
	}
	tail := strings.Join(right, "  ")
	room := width - Width(tail) - 2
	if room < 4 {
		return Fit(tail, max(width, 0))
	}
	gauge := ""
	nameRoom := room
	if b.Part >= 0 && room >= 40 {
		nameRoom = room - 24
		filled := int(b.Part * 20)
		gauge = "[" + strings.Repeat("#", filled) + strings.Repeat("-", 20-filled) + "]  "
		if s.colour {
			gauge = "[\x1b[32m" + strings.Repeat("#", filled) + "\x1b[0m" + strings.Repeat("-", 20-filled) + "]  "
		}
	}
	return pad(Fit(api.Safe(b.Name), nameRoom), nameRoom) + "  " + gauge + tail
}

// FormatETA is a time left: 7s, 3m20s, 5h07m, 3d.
func FormatETA(seconds float64) string {
	d := time.Duration(min(seconds, 1e8) * float64(time.Second)).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(int(d.Seconds()), 1))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// Count is a number with its noun.
func Count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

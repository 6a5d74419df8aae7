package term

import (
	"strings"

	"rsc.io/qr/coding"
)

// quiet is the margin of a QR code, in modules, that readers are promised.
const quiet = 4

// qrLines draws a QR code with two rows of modules in a line. Text must be such as the
// dense alphanumeric mode takes (0-9, A-Z, blank, $%*+-./:); nil if it is not, or too long.
// In colour it is black on white whatever the terminal's colours are; without, light
// modules are drawn, as terminals are dark more often than not and readers mind it less.
func qrLines(text string, colour bool) []string {
	data := coding.Alpha(text)
	if data.Check() != nil {
		return nil
	}
	version := coding.Version(coding.MinVersion)
	for data.Bits(version) > version.DataBytes(coding.L)*8 {
		if version++; version > coding.MaxVersion {
			return nil
		}
	}
	plan, err := coding.NewPlan(version, coding.L, 0)
	if err != nil {
		return nil
	}
	code, err := plan.Encode(data)
	if err != nil {
		return nil
	}
	var lines []string
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var b strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			upper, lower := code.Black(x, y), code.Black(x, y+1)
			if !colour {
				upper, lower = !upper, !lower && y+1 < code.Size+quiet
			}
			b.WriteRune(halves[upper][lower])
		}
		line := b.String()
		if colour {
			line = "\x1b[38;5;16;48;5;231m" + line + "\x1b[0m"
		}
		lines = append(lines, line)
	}
	return lines
}

// halves are the characters by what is drawn of their upper and lower half.
var halves = map[bool]map[bool]rune{
	false: {false: ' ', true: '▄'},
	true:  {false: '▀', true: '█'},
}

// QR draws a QR code on a terminal, if it fits: text of letters in upper case, digits and
// blank, $%*+-./: in their dense mode, and nothing for any other.
func (s *Screen) QR(text string) {
	if !s.Terminal {
		return
	}
	lines := qrLines(text, s.colour)
	if lines == nil {
		return
	}
	width := 2*len(lines) - 1 // an odd number of modules
	if columns, _ := s.size(); columns < width {
		s.Say("(a terminal of %d columns would show a QR code, too)", width)
		return
	}
	s.Say("%s", strings.Join(lines, "\n"))
}

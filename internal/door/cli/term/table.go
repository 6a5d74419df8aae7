package term

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// wide are the ranges of runes that take two columns (Unicode TR 11, W and F, and
// the emoji blocks), as far as terminals agree on them.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x231a, Hi: 0x231b, Stride: 1}, {Lo: 0x2329, Hi: 0x232a, Stride: 1},
		{Lo: 0x23e9, Hi: 0x23ec, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0x33ff, Stride: 1},
		{Lo: 0x3400, Hi: 0x4dbf, Stride: 1}, {Lo: 0x4e00, Hi: 0x9fff, Stride: 1}, {Lo: 0xa000, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x16fe0, Hi: 0x18aff, Stride: 1}, {Lo: 0x1b000, Hi: 0x1b2ff, Stride: 1}, {Lo: 0x1f18e, Hi: 0x1f18e, Stride: 1},
		{Lo: 0x1f191, Hi: 0x1f19a, Stride: 1}, {Lo: 0x1f200, Hi: 0x1f265, Stride: 1}, {Lo: 0x1f300, Hi: 0x1f64f, Stride: 1},
		{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1}, {Lo: 0x1f7e0, Hi: 0x1f7eb, Stride: 1}, {Lo: 0x1f90c, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x1fa70, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// runeWidth is the number of columns a rune takes.
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// Width is the number of columns a text takes.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// Fit cuts a text to so many columns, with an ellipsis if it was longer.
func Fit(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	n, end := 0, 0
	for i, r := range s {
		w := runeWidth(r)
		if n+w > width-1 {
			break
		}
		n += w
		end = i + len(string(r))
	}
	if width < 1 {
		return ""
	}
	return s[:end] + "…"
}

// pad fills a text with spaces to so many columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-Width(s), 0))
}

// Table prints rows in columns that are as wide as their widest cell. Columns in
// Right are aligned to the right. Cells must be safe already; the cell of a
// column in Cut is shortened to its limit, and those of the first column such that a row
// takes at most Width columns, if that is not 0 and leaves room for a name; where that is not
// enough, those in Spare are left out, in that order. Head may be nil.
type Table struct {
	Head  []string
	rows  [][]string
	Right map[int]bool
	Cut   map[int]int
	Width int
	Spare []int
}

// leastName is how short a name is cut to fit a row.
const leastName = 12

// Add adds a row.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// Empty tells that there is no row.
func (t *Table) Empty() bool { return len(t.rows) == 0 }

// Write prints the head, unless it is nil, and the rows.
func (t *Table) Write(w io.Writer) {
	rows := t.rows
	if t.Head != nil {
		rows = append([][]string{t.Head}, rows...)
	}
	var widths []int
	for _, r := range rows {
		for i := range r {
			if limit := t.Cut[i]; limit > 0 {
				r[i] = Fit(r[i], limit)
			}
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(r[i]))
		}
	}
	gone := t.narrow(widths)
	for _, r := range rows {
		var b strings.Builder
		r[0] = Fit(r[0], widths[0])
		for i, cell := range r {
			if gone[i] {
				continue
			}
			if i > 0 {
				b.WriteString("  ")
			}
			if t.Right[i] {
				b.WriteString(strings.Repeat(" ", widths[i]-Width(cell)) + cell)
			} else {
				b.WriteString(pad(cell, widths[i]))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// narrow makes rows fit: it shortens the first column, and says which others are left out.
func (t *Table) narrow(widths []int) map[int]bool {
	gone := make(map[int]bool)
	if t.Width <= 0 || len(widths) == 0 {
		return gone
	}
	over := rowWidth(widths) - t.Width
	for _, i := range t.Spare {
		if over <= max(widths[0]-leastName, 0) {
			break
		}
		if i < len(widths) {
			gone[i] = true
			over -= widths[i] + 2
		}
	}
	if over > 0 {
		widths[0] = min(widths[0], max(widths[0]-over, leastName))
	}
	return gone
}

// rowWidth is what columns of these widths take, with two spaces between them.
func rowWidth(widths []int) int {
	n := -2
	for _, w := range widths {
		n += w + 2
	}
	return n
}

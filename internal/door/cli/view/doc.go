// Package view is what people are shown of what the API tells: tables, and sentences that
// stand in several commands. Whatever came from elsewhere goes through api.Safe here.
//
// It asks nobody anything, and decides nothing but words. What programs read (--json) is made
// of package api's types alone, and never here.
package view

import (
	"fmt"
	"io"
)

// Page is where results for people are written.
type Page struct {
	w     io.Writer
	width int
}

// New is a page on w; width is its number of columns, 0 where it is no terminal.
func New(w io.Writer, width int) Page { return Page{w: w, width: width} }

func (p Page) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

package tracker

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable makes a stranger's text fit to be shown and logged: what is not
// printable, control and direction characters above all, becomes a space, runs of
// spaces become one, and it is cut to MaxText bytes between characters.
func printable(s string) string {
	var b strings.Builder
	space := true // none at the start
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = ' '
		}
		if r == ' ' && space {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > MaxText {
			break
		}
		space = r == ' '
		b.WriteRune(r)
	}
	return strings.TrimSuffix(b.String(), " ")
}

// saidError is an error of the network or of a library about a tracker. Its text
// may quote what the tracker sent, so it is made printable.
type saidError struct {
	host string
	err  error
}

func said(host string, err error) error { return &saidError{host, err} }

func (e *saidError) Error() string { return "tracker: " + e.host + ": " + printable(e.err.Error()) }
func (e *saidError) Unwrap() error { return e.err }

// cause prefers the reason why ctx ended to an error that only follows from it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

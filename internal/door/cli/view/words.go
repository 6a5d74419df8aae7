package view

import (
	"fmt"
	"strconv"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// CompareAloud is what a code is for.
const CompareAloud = "compare it aloud, both sides see the same unless somebody stands between"

// nodeTail is how much of the end of a NodeID people are shown: all begin alike.
const nodeTail = 8

// Node is a node for people: what it calls itself, and the end of its NodeID.
func Node(id, name string) string {
	tail := "…" + api.Safe(id[max(len(id)-nodeTail, 0):])
	if name == "" {
		return tail
	}
	return api.Safe(name) + " (" + tail + ")"
}

// Short is enough of an info hash or of the id of a group to name one.
func Short(hash string) string { return hash[:min(len(hash), 12)] }

// Time is a moment, "-" for none.
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// Seconds is how long something took.
func Seconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	return term.FormatETA(s)
}

// Trip is a round trip; "-" where it was not measured.
func Trip(seconds float64) string {
	ms := seconds * 1000
	switch {
	case ms <= 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return (time.Duration(seconds) * time.Second).String()
}

// Rate is a bandwidth that is used, "-" for none.
func Rate(r api.Rate) string {
	if r == 0 {
		return "-"
	}
	return r.String()
}

// Piece is the size of a piece: 64 KiB, 4 MiB.
func Piece(n int64) string {
	if n >= 1<<20 {
		return count64(n>>20, "MiB")
	}
	return count64(n>>10, "KiB")
}

func count64(n int64, unit string) string { return strconv.FormatInt(n, 10) + " " + unit }

func percent(part float64) string { return fmt.Sprintf("%d %%", int(part*100)) }

func dashOr(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

func sizeOrDash(n int64) string {
	if n == 0 {
		return "-"
	}
	return api.FormatSize(n)
}

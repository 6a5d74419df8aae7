package api

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"syscall"
)

// Kind says which sort of failure an error is. Kinds are append-only: a kind is
// never renamed, removed or given another exit code.
type Kind string

// The kinds. The table below gives each its HTTP status and exit code.
const (
	Internal     Kind = "internal"     // a bug, or nothing more exact is known
	Invalid      Kind = "invalid"      // the request or the flags make no sense
	NotFound     Kind = "not_found"    // no such share, file or route
	Ambiguous    Kind = "ambiguous"    // a prefix or name that fits several shares, groups or members
	Unreachable  Kind = "unreachable"  // nobody has it, or not in the time given
	BadData      Kind = "bad_data"     // data, metainfo, link, ticket or signature is wrong
	DiskFull     Kind = "disk_full"    // no space, or the reserve would be used up
	Path         Kind = "path"         // missing, read-only or unreadable path, or the disk fails
	Refused      Kind = "refused"      // not allowed
	Exists       Kind = "exists"       // would overwrite something
	OutOfScope   Kind = "out_of_scope" // the address is outside the network scope
	Locked       Kind = "locked"       // another node holds the home
	PortTaken    Kind = "port_taken"   // another process listens there
	Unauthorized Kind = "unauthorized" // no token, or a wrong one
	TooLarge     Kind = "too_large"    // a body or a header beyond its limit
	TooMany      Kind = "too_many"     // too many calls or failures
	MediaType    Kind = "media_type"   // the body is not of the required content type
	Method       Kind = "method"       // the path exists, the method does not
	Unavailable  Kind = "unavailable"  // the node is starting or stopping
	Interrupted  Kind = "interrupted"  // the caller went away or pressed Ctrl-C
	Unwell       Kind = "unwell"       // doctor found something bad
)

// Exit codes of the command line, as DESIGN.md §4 lists them.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitData        = 4
	ExitDisk        = 5
	ExitRefused     = 6
	ExitInterrupted = 130
)

// kindRow is one line of the table: what a kind is on each door.
type kindRow struct {
	Kind   Kind
	Status int    // HTTP status
	Exit   int    // exit code
	Title  string // the problem's title: short, the same for every occurrence
}

// statusInterrupted is what proxies log for a client that closed the request;
// no answer with it is ever read by anybody.
const statusInterrupted = 499

// kinds is the one table kind → HTTP status → exit code.
var kinds = []kindRow{
	{Internal, http.StatusInternalServerError, ExitFailed, "Something failed inside the node"},
	{Invalid, http.StatusBadRequest, ExitUsage, "The request makes no sense"},
	{NotFound, http.StatusNotFound, ExitNotFound, "There is no such thing"},
	{Ambiguous, http.StatusConflict, ExitUsage, "More than one fits"},
	{Unreachable, http.StatusGatewayTimeout, ExitNotFound, "Nobody has it in time"},
	{BadData, http.StatusUnprocessableEntity, ExitData, "Data, metainfo or link is wrong"},
	{DiskFull, http.StatusInsufficientStorage, ExitDisk, "There is not enough space"},
	{Path, http.StatusFailedDependency, ExitDisk, "The disk or path cannot be used"},
	{Refused, http.StatusForbidden, ExitRefused, "Not allowed"},
	{Exists, http.StatusConflict, ExitRefused, "It would overwrite something"},
	{OutOfScope, http.StatusForbidden, ExitRefused, "The address is outside the network scope"},
	{Locked, http.StatusConflict, ExitRefused, "Another node holds this home"},
	{PortTaken, http.StatusConflict, ExitFailed, "The port is taken"},
	{Unauthorized, http.StatusUnauthorized, ExitRefused, "The token is missing or wrong"},
	{TooLarge, http.StatusRequestEntityTooLarge, ExitUsage, "The request is too large"},
	{TooMany, http.StatusTooManyRequests, ExitFailed, "Too many requests"},
	{MediaType, http.StatusUnsupportedMediaType, ExitUsage, "The content type is not supported"},
	{Method, http.StatusMethodNotAllowed, ExitUsage, "The method is not allowed here"},
	{Unavailable, http.StatusServiceUnavailable, ExitFailed, "The node is not available"},
	{Interrupted, statusInterrupted, ExitInterrupted, "Interrupted"},
	{Unwell, http.StatusServiceUnavailable, ExitFailed, "Something stands in the way"},
}

func (k Kind) row() kindRow {
	for _, r := range kinds {
		if r.Kind == k {
			return r
		}
	}
	return kinds[0]
}

// Status is the HTTP status that answers a failure of this kind.
func (k Kind) Status() int { return k.row().Status }

// Exit is the exit code of a command that failed in this way.
func (k Kind) Exit() int { return k.row().Exit }

// Title is the problem's title, the same for every failure of this kind.
func (k Kind) Title() string { return k.row().Title }

// Known says whether the kind is one of the table; an unknown one (a newer
// node's) counts as Internal.
func (k Kind) Known() bool { return k.row().Kind == k }

// Kinds lists every kind in the order in which they were added.
func Kinds() []Kind {
	out := make([]Kind, len(kinds))
	for i, r := range kinds {
		out[i] = r.Kind
	}
	return out
}

// KindOf is the kind of any error: that of the *Error it wraps, else what the
// operating system's error or the context's end means to a person.
func KindOf(err error) Kind {
	var e *Error
	var kinder interface{ Kind() Kind }
	var pathErr *fs.PathError
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.As(err, &kinder):
		return kinder.Kind()
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded):
		return Unreachable
	case isDiskFull(err):
		return DiskFull
	case errors.Is(err, syscall.EADDRINUSE):
		return PortTaken
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EIO), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission), errors.As(err, &pathErr):
		return Path
	case errors.Is(err, os.ErrExist):
		return Exists
	}
	return dataKind(err)
}

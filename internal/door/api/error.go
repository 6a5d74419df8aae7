package api

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a failure that a person is told about: to which thing it happened,
// what happened, and what to do. It crosses the API as an RFC 9457 problem and
// becomes the exit code of a command.
type Error struct {
	Kind    Kind
	Subject string // the thing: a name, a path, an address; data, not escaped
	Reason  string // what happened, one sentence part, without the subject
	Remedy  string // what the person can do; may be empty
	Cause   error  // what it wraps; never crosses the wire
}

// Error is one line that is safe on a terminal: "subject: reason; remedy".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Subject != "" {
		b.WriteString(Safe(e.Subject))
		b.WriteString(": ")
	}
	reason := e.Reason
	if reason == "" && e.Cause != nil {
		reason = e.Cause.Error()
	}
	if reason == "" {
		reason = e.Kind.Title()
	}
	b.WriteString(Safe(reason))
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(Safe(e.Remedy))
	}
	return b.String()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error whose reason is the formatted text; %w keeps a cause.
func Errorf(kind Kind, subject, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Subject: subject, Reason: err.Error(), Cause: errors.Unwrap(err)}
}

// Try adds what the person can do and returns the error itself.
func (e *Error) Try(format string, args ...any) *Error {
	e.Remedy = fmt.Sprintf(format, args...)
	return e
}

// AsError is err as an *Error: itself when it wraps one, else a new one of the
// kind KindOf finds. It is nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: KindOf(err), Reason: err.Error(), Cause: err}
}

// problemType is what precedes the kind in a problem's type.
const problemType = "urn:shoal:problem:"

// Problem is an Error on the wire, as application/problem+json (RFC 9457).
type Problem struct {
	Type    string `json:"type" doc:"ends in the error kind" example:"urn:shoal:problem:not_found"`
	Title   string `json:"title" doc:"the same for every problem of this kind"`
	Status  int    `json:"status" doc:"HTTP status"`
	Detail  string `json:"detail" doc:"what happened, in one line"`
	Subject string `json:"subject,omitempty" doc:"the thing it happened to"`
	Remedy  string `json:"remedy,omitempty" doc:"what can be done"`
	Code    Kind   `json:"code" doc:"the error kind"`
	Exit    int    `json:"exit" doc:"exit code of a command that fails in this way"`
}

// ProblemOf is the problem that tells of err.
func ProblemOf(err error) Problem {
	e := AsError(err)
	reason := e.Reason
	if reason == "" {
		reason = (&Error{Kind: e.Kind, Cause: e.Cause}).Error()
	}
	return Problem{
		Type: problemType + string(e.Kind), Title: e.Kind.Title(), Status: e.Kind.Status(),
		Detail: reason, Subject: e.Subject, Remedy: e.Remedy, Code: e.Kind, Exit: e.Kind.Exit(),
	}
}

// Err is the error that a problem tells of. A kind that this version does not
// know is kept, and counts as Internal.
func (p Problem) Err() *Error {
	kind := Kind(p.Type[strings.LastIndexAny(p.Type, ":/")+1:])
	return &Error{Kind: kind, Subject: p.Subject, Reason: p.Detail, Remedy: p.Remedy}
}

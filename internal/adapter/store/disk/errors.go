package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// The errors a caller decides on. Each comes wrapped in an *Error, which names
// the path, or in a *SpaceError.
var (
	// ErrChanged: a file is not what it was when it was opened or verified:
	// another size, another time of change, another file, or gone.
	ErrChanged = errors.New("was changed or removed by another program")
	// ErrExists: another file bears the name and is never overwritten.
	ErrExists = errors.New("another file of that name is in the way")
	// ErrNoSpace: too little space to start with, judged before writing.
	ErrNoSpace = errors.New("not enough free space")
	// ErrFull: the system said in the middle of writing that the disk or the
	// quota is full. What was written stays; writing again later may succeed.
	ErrFull = errors.New("the disk is full")
	// ErrReadOnly: the file system, or a share in place, takes no writes.
	ErrReadOnly = errors.New("is read-only")
	// ErrDenied: the system's permissions forbid it.
	ErrDenied = errors.New("permission denied")
	// ErrIO: the device failed.
	ErrIO = errors.New("input/output error")
	// ErrLink: a symbolic link, or something that is neither file nor folder,
	// stands where the share has a file or a folder.
	ErrLink = errors.New("is a link or a special file, which is not followed")
	// ErrRange: bytes outside the piece were asked for; a bug of the caller.
	ErrRange = errors.New("range outside the piece")
	// ErrClosed: the content or the catalog was closed.
	ErrClosed = errors.New("closed")
)

// Error is what happened to one path. Kind is one of this package's sentinel
// errors or nil; Err is the system's own error or nil. errors.Is finds both.
type Error struct {
	Op   string // what was attempted: "open", "write", "hash", …
	Path string // the full path of the file or folder
	Kind error
	Err  error
}

// Error gives one line. The path is quoted: names are data.
func (e *Error) Error() string {
	s := "store: " + e.Op + " " + strconv.QuoteToGraphic(e.Path)
	switch {
	case e.Kind != nil && e.Err != nil:
		return s + ": " + e.Kind.Error() + " (" + reason(e.Err) + ")"
	case e.Kind != nil:
		return s + ": " + e.Kind.Error()
	case e.Err != nil:
		return s + ": " + reason(e.Err)
	}
	return s
}

// Unwrap makes both the kind and the system's error visible to errors.Is.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// reason drops the path an fs.PathError repeats.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// Fault makes an *Error of a system error, with the kind it belongs to.
func Fault(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Op: op, Path: path, Kind: KindOf(err), Err: err}
}

// KindOf sorts a system error into this package's kinds; nil when none fits.
func KindOf(err error) error {
	if kind := systemKind(err); kind != nil {
		return kind
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ErrDenied
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	}
	return nil
}

// SpaceError says how much is missing where. It is an ErrNoSpace.
type SpaceError struct {
	Path                string
	Need, Free, Reserve int64 // bytes
}

// Error names the path, the need, the reserve and what is free.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("store: %s: %v: %d bytes needed and %d to be left free, %d free",
		strconv.QuoteToGraphic(e.Path), ErrNoSpace, e.Need, e.Reserve, e.Free)
}

// Is makes errors.Is(err, ErrNoSpace) true.
func (e *SpaceError) Is(target error) bool { return target == ErrNoSpace }

//go:build unix

package term

import (
	"os"

	"golang.org/x/sys/unix"
)

// IsTerminal asks whether a file is a terminal: only those have a window size.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// Size is the number of columns and lines, 80 and 24 where the terminal does not
// say.
func Size(f *os.File) (columns, lines int) {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || ws.Col == 0 || ws.Row == 0 {
		return 80, 24
	}
	return int(ws.Col), int(ws.Row)
}

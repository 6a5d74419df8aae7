//go:build unix

package api

import (
	"errors"
	"syscall"
)

// isDiskFull says whether the operating system reported a lack of space: no
// blocks, or a quota that is used up.
func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

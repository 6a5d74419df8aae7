package node

import (
	"errors"
	"fmt"
	"syscall"

	"shoal/internal/door/api"
	"shoal/internal/node/oneport"
)

// PortTaken turns the error of listening on a port that another process has into
// one that names that process where the system tells; other errors come back as
// they are. flag is how the person can choose another port, such as "--port".
func PortTaken(err error, port int, flag string) error {
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	holder := oneport.Holder(port)
	if holder == "" {
		holder = "another process"
	}
	e := api.Errorf(api.PortTaken, fmt.Sprintf("port %d", port), "%s listens there already", holder)
	e.Cause = err
	return e.Try("stop it, or choose another port with %s (0: any free one)", flag)
}

package oneport

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"shoal/internal/door/api"
)

// Bounds of the search: a machine may have very many sockets and processes.
const (
	maxSocketLines = 200_000
	maxProcesses   = 100_000
)

// Holder names the process that listens on a TCP or UDP port, as
// "process 12 (name)". It is empty if the system does not tell: other people's
// processes hide their files.
func Holder(port int) string {
	inodes := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		listeners("/proc/self/net/"+table, port, inodes)
	}
	if len(inodes) == 0 {
		return ""
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	for _, p := range processes[:min(len(processes), maxProcesses)] {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || !holds(pid, inodes) {
			continue
		}
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil {
			return fmt.Sprintf("process %d", pid)
		}
		return fmt.Sprintf("process %d (%s)", pid, api.Safe(strings.TrimSpace(string(name))))
	}
	return ""
}

// listeners collects the inodes of sockets that are bound to a port. A line of
// the table is: slot, local address:port in hex, remote address, state, two
// queues, timer, retransmits, uid, timeout, inode. State 0A is listening; UDP has
// none, its bound sockets are 07.
func listeners(table string, port int, inodes map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	want := fmt.Sprintf(":%04X", port)
	sc := bufio.NewScanner(f)
	for n := 0; sc.Scan() && n < maxSocketLines; n++ {
		fields := strings.Fields(sc.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], want) && (fields[3] == "0A" || fields[3] == "07") {
			inodes[fields[9]] = true
		}
	}
}

// holds says whether one of a process's files is one of these sockets.
func holds(pid int, inodes map[string]bool) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, f := range files {
		link, err := os.Readlink(filepath.Join(dir, f.Name()))
		if err != nil {
			continue
		}
		if inode, ok := strings.CutPrefix(link, "socket:["); ok && inodes[strings.TrimSuffix(inode, "]")] {
			return true
		}
	}
	return false
}

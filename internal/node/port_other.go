//go:build !linux

package node

import "runtime"

// portHolder is not known here without calling other programs.
func portHolder(int) string { return "" }

// Resident is close to the memory of this process that is in RAM: what the Go
// runtime has from the system and has not given back.
func Resident() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

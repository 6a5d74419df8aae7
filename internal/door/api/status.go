package api

import "time"

// Status is what the node does, as a whole.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	NodeID  string    `json:"node_id"`
	Home    string    `json:"home"`
	Scope   string    `json:"scope" enum:"loopback,lan,internet"`
	API     string    `json:"api,omitempty" doc:"URL of the API; absent if no port is open"`
	Listen  []string  `json:"listen" doc:"addresses that peers can reach"`
	Started time.Time `json:"started"`
	Offline bool      `json:"offline,omitempty" doc:"the node of a command that only looks after the home: it reaches nobody"`

	Shares      int `json:"shares"`
	Downloading int `json:"downloading"`
	Seeding     int `json:"seeding"`
	Paused      int `json:"paused"`
	Failed      int `json:"failed"`
	Peers       int `json:"peers" doc:"connected peers"`

	DownRate   Rate   `json:"down_rate"`
	UpRate     Rate   `json:"up_rate"`
	Downloaded int64  `json:"downloaded" doc:"payload received since the start"`
	Uploaded   int64  `json:"uploaded" doc:"payload sent since the start"`
	Limits     Limits `json:"limits"`
	DiskFree   int64  `json:"disk_free" doc:"free bytes where the home lies"`
	Memory     int64  `json:"memory" doc:"resident bytes"`

	Groups   int             `json:"groups,omitempty" doc:"groups that this node is in"`
	Members  int             `json:"members,omitempty" doc:"other nodes in them"`
	Online   int             `json:"online,omitempty" doc:"of these, those that are connected"`
	Reach    *Reach          `json:"reach,omitempty" doc:"how this node is reached itself"`
	DHT      *DHTStatus      `json:"dht,omitempty" doc:"its part in the public DHT"`
	Relay    *RelayUse       `json:"relay,omitempty" doc:"what members send through this node"`
	Locators []LocatorStatus `json:"locators,omitempty" doc:"ways to find peers, all shares together, with what they cost and yield"`
}

// Health says whether the node is well.
type Health struct {
	OK      bool     `json:"ok"`
	Reasons []string `json:"reasons" doc:"what is wrong; empty if nothing is"`
}

// VersionInfo is what `version` prints.
type VersionInfo struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Commit  string `json:"commit,omitempty"`
}

// MetricKind is the type of a metric in the Prometheus text format.
type MetricKind string

// The kinds of metric.
const (
	Counter MetricKind = "counter"
	Gauge   MetricKind = "gauge"
)

// Metric is one measured thing with its samples.
type Metric struct {
	Name    string // shoal_…, in base units
	Help    string // one line
	Kind    MetricKind
	Samples []Sample
}

// Sample is one value of a metric.
type Sample struct {
	Labels [][2]string // name, value; in a fixed order
	Value  float64
}

// FsckReport is the outcome of `fsck`.
type FsckReport struct {
	Home     string        `json:"home"`
	Clean    bool          `json:"clean"`
	Shares   int           `json:"shares" doc:"shares that were looked at"`
	Problems []FsckProblem `json:"problems"`
}

// FsckProblem is one thing that is not as it should be.
type FsckProblem struct {
	Subject  string `json:"subject" doc:"file or share"`
	Problem  string `json:"problem" doc:"what is wrong"`
	Repair   string `json:"repair,omitempty" doc:"what repair does about it; empty if nothing can be done"`
	Repaired bool   `json:"repaired"`
}

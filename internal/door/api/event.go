package api

import (
	"encoding/json"
	"fmt"
	"time"
)

// Event is something that happened in the node. Every event has a Head.
type Event interface {
	head() *Head
}

// Head begins every event.
type Head struct {
	Event    string    `json:"event" doc:"which event this is"`
	InfoHash string    `json:"info_hash,omitempty" doc:"the share it is about"`
	Time     time.Time `json:"time,omitzero" doc:"when it happened"`
}

func (h *Head) head() *Head { return h }

// HeadOf is the head of an event.
func HeadOf(e Event) Head { return *e.head() }

// Names of events. They are append-only.
const (
	EventReady     = "ready"     // Ready: `up` answers
	EventShare     = "share"     // ShareEvent: a share was added, or its state changed
	EventRemoved   = "removed"   // RemovedEvent: a share was removed
	EventProgress  = "progress"  // ProgressEvent: how far a share is
	EventDone      = "done"      // Done: everything wanted is here
	EventChanged   = "changed"   // Changed: files were changed or removed under a share
	EventPenalised = "penalised" // Penalised: a peer did wrong
	EventTracker   = "tracker"   // TrackerEvent: a tracker answered or failed
	EventNotice    = "notice"    // Notice: something a person may want to know
	EventMissed    = "missed"    // Missed: this listener was too slow
	EventHashing   = "hashing"   // Hashing: a long call's progress
	EventResult    = "result"    // the answer of a long call; its data is that answer
	EventProblem   = "problem"   // a long call failed; its data is a Problem

	EventGroupJoined   = "group_joined"   // GroupEvent: this node founded a group or was let in
	EventGroupLeft     = "group_left"     // GroupEvent: this node left a group, or was removed from it
	EventMemberJoined  = "member_joined"  // MemberEvent: a node is a member
	EventMemberRemoved = "member_removed" // MemberEvent: a node left, or was removed
)

// Ready is the one line that `up` prints when it answers.
type Ready struct {
	Head
	API    string   `json:"api" doc:"URL of the API and the page; empty if no port is open"`
	Listen []string `json:"listen" doc:"addresses that peers can reach"`
	NodeID string   `json:"node_id" doc:"identity of this node"`
	Home   string   `json:"home,omitempty" doc:"home folder"`
	Socket string   `json:"socket,omitempty" doc:"path of the API's socket"`
	PID    int      `json:"pid,omitempty" doc:"process id"`
}

// ShareEvent tells that a share was added or changed its state.
type ShareEvent struct {
	Head
	Share Share `json:"share"`
}

// RemovedEvent tells that a share was removed.
type RemovedEvent struct {
	Head
	Name string `json:"name"`
}

// ProgressEvent tells how far a share is, at most twice a second.
type ProgressEvent struct {
	Head
	Name       string  `json:"name"`
	State      State   `json:"state"`
	Bytes      int64   `json:"bytes" doc:"verified bytes of the selected files"`
	Total      int64   `json:"total" doc:"size of the selected files; 0 until known"`
	Pieces     int     `json:"pieces" doc:"verified pieces"`
	DownRate   Rate    `json:"down_rate"`
	UpRate     Rate    `json:"up_rate"`
	ETA        float64 `json:"eta,omitempty" doc:"seconds; absent if unknown"`
	Peers      int     `json:"peers"`
	Candidates int     `json:"candidates"`
	Wasted     int64   `json:"wasted"`
	Checked    float64 `json:"checked,omitempty" doc:"part of a verification that is done, 0 to 1"`
}

// ProgressOf is the progress event of a share at this moment.
func ProgressOf(s Share) *ProgressEvent {
	return &ProgressEvent{
		Head: Head{Event: EventProgress, InfoHash: s.InfoHash},
		Name: s.Name, State: s.State, Bytes: s.BytesDone, Total: s.BytesWanted, Pieces: s.PiecesDone,
		DownRate: s.DownRate, UpRate: s.UpRate, ETA: s.ETA, Peers: s.Peers, Candidates: s.Candidates,
		Wasted: s.Wasted, Checked: s.Checked,
	}
}

// Done is the last line of `get --json`: everything that is wanted is here,
// verified and under its final name.
type Done struct {
	Head
	Path    string   `json:"path" doc:"the file or folder"`
	Bytes   int64    `json:"bytes" doc:"size of the selected files"`
	Wasted  int64    `json:"wasted" doc:"payload received that was of no use"`
	Seconds float64  `json:"seconds" doc:"from the request to the last verified piece"`
	Peers   []Source `json:"peers" doc:"who gave how much (at most 100 are listed)"`
	Name    string   `json:"name,omitempty"`
}

// Source is a peer that gave data.
type Source struct {
	Address string `json:"address"`
	Client  string `json:"client,omitempty" doc:"what the peer calls itself; data from elsewhere"`
	Bytes   int64  `json:"bytes" doc:"payload received from it"`
}

// Changed tells that files of a share no longer are what was shared.
type Changed struct {
	Head
	Name  string   `json:"name"`
	Files []string `json:"files" doc:"paths (at most 100 are listed)"`
	Count int      `json:"count"`
}

// Penalised tells that a peer did wrong and what was done about it.
type Penalised struct {
	Head
	Reason string `json:"reason" doc:"fixed word of the rule that was broken"`
	Peer   string `json:"peer" doc:"address of the peer"`
	Action string `json:"action" enum:"drop,throttle,ban"`
}

// TrackerEvent tells what a tracker said.
type TrackerEvent struct {
	Head
	Tracker TrackerStatus `json:"tracker"`
	Peers   int           `json:"peers" doc:"addresses in its answer"`
	OK      bool          `json:"ok"`
}

// Notice is something about the node or a share that a person may want to know.
type Notice struct {
	Head
	Code string `json:"code" doc:"fixed word, such as hybrid_inconsistent"`
	Text string `json:"text" doc:"one line for people"`
}

// Missed tells a listener that was too slow how many events it did not get.
type Missed struct {
	Head
	Count int64 `json:"count"`
}

// Hashing is the progress of a long call (publish, verify).
type Hashing struct {
	Head
	Path string `json:"path,omitempty"`
	Progress
}

// GroupEvent tells that this node came into a group, or is in it no more.
type GroupEvent struct {
	Head
	Group   string `json:"group" doc:"id of the group"`
	Name    string `json:"name" doc:"of the group; data from elsewhere"`
	Removed bool   `json:"removed,omitempty" doc:"another node ended the membership"`
}

// MemberEvent tells that another node came into a group of this node, or is in it no more.
type MemberEvent struct {
	Head
	Group    string `json:"group" doc:"id of the group"`
	Name     string `json:"name" doc:"of the group; data from elsewhere"`
	NodeID   string `json:"node_id"`
	NodeName string `json:"node_name" doc:"what it calls itself; data from elsewhere"`
	Code     string `json:"code,omitempty" doc:"if it joined by a ticket of this node: twelve digits to compare aloud with what it sees"`
}

// newEvent makes an empty event of a name; nil for a name that is not known.
func newEvent(name string) Event {
	switch name {
	case EventReady:
		return new(Ready)
	case EventShare:
		return new(ShareEvent)
	case EventRemoved:
		return new(RemovedEvent)
	case EventProgress:
		return new(ProgressEvent)
	case EventDone:
		return new(Done)
	case EventChanged:
		return new(Changed)
	case EventPenalised:
		return new(Penalised)
	case EventTracker:
		return new(TrackerEvent)
	case EventNotice:
		return new(Notice)
	case EventMissed:
		return new(Missed)
	case EventHashing:
		return new(Hashing)
	case EventGroupJoined, EventGroupLeft:
		return new(GroupEvent)
	case EventMemberJoined, EventMemberRemoved:
		return new(MemberEvent)
	}
	return nil
}

// DecodeEvent reads the data of an event. An event that only a newer node knows
// comes as its *Head.
func DecodeEvent(name string, data []byte) (Event, error) {
	e := newEvent(name)
	if e == nil {
		e = new(Head)
	}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("api: event %q: %w", Safe(name), err)
	}
	return e, nil
}

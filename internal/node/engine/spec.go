package engine

import (
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/locate"
	"shoal/internal/node/record"
)

// Ways of finding peers, as package locate says them.
type (
	Locator = locate.Locator
	Offer   = locate.Offer
	Cost    = locate.Cost
)

// What is told of shares: package record says what it means.
type (
	Spec          = record.Spec
	State         = record.State
	Status        = record.Status
	Detail        = record.Detail
	Event         = record.Event
	Source        = record.Source
	Yield         = record.Yield
	TrackerStatus = record.TrackerStatus
	PeerStatus    = record.PeerStatus
)

type swarmSource = candidates.Source

// The states of a share and the kinds of events, as package record says them.
const (
	Metadata, Checking, Fetching                            = record.Metadata, record.Checking, record.Fetching
	Seeding, Paused, Failed                                 = record.Seeding, record.Paused, record.Failed
	EventAdded, EventState, EventDone, EventRemoved         = record.EventAdded, record.EventState, record.EventDone, record.EventRemoved
	EventChanged, EventPenalised, EventTracker, EventNotice = record.EventChanged, record.EventPenalised, record.EventTracker, record.EventNotice
)

// Errors that callers decide on, as package record says them.
var (
	ErrNotFound, ErrNotReady, ErrNoLayers = record.ErrNotFound, record.ErrNotReady, record.ErrNoLayers
	ErrNoMatch, ErrElsewhere, ErrInPlace  = record.ErrNoMatch, record.ErrElsewhere, record.ErrInPlace
	ErrRefusedMeta, ErrAudience           = record.ErrRefusedMeta, record.ErrAudience
)

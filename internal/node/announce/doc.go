// Package announce asks the trackers of one share for peers, as BEP 3 and BEP 12 say:
// `started` once to each tracker that answers, then at the intervals it wants, `completed`
// when the last piece has come, and `stopped` to all that know of the share when it goes.
// A share that is only parked is still offered: its Announcer ends without a word and leaves
// its Past, with which the next one goes on, or Farewell tells its trackers when the node ends.
//
// The Desk of a node starts its Announcers. Each is a goroutine of its own. What is to be
// told it asks the share's goroutine for, and there it shows what it learnt (Share); it
// never waits for that goroutine once Stop or Park has been called, so that they may be
// called from it.
//
// It never judges an address that a tracker gave, dials nothing but what the tracker
// client does, and keeps nothing: internal/adapter/tracker has the formats and the limits.
package announce

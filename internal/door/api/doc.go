// Package api is the vocabulary of shoal's door: the requests, answers and
// events that a person, a program or a web page exchanges with a node, the
// kinds of error with their HTTP status and exit code, and the Go client.
//
// It holds values and the client only. It never opens a share, never judges a
// peer and keeps no state of a node; what it says about metainfo it asks of
// core/metainfo.
//
// Field names on the wire are the json tags, they are stable and only ever
// added to; docs/formats/api.md and the OpenAPI document at
// /api/v1/openapi.json are the reference. Sizes are bytes, rates are bytes a
// second, durations are seconds, times are RFC 3339 in UTC. Strings that came
// from another machine (names, paths, client names, tracker messages) are data:
// pass them through Safe before showing them on a terminal.
package api

// Version is the version of this program, set by the linker for a release.
var Version = "0.1.0"

// Prefix is the path beneath which every call of this version of the API lives.
const Prefix = "/api/v1"

// DefaultPort is where a node is asked for where no port is said.
const DefaultPort = "7463"

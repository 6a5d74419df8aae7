package httpd

import (
	"net/http"
	"reflect"

	"shoal/internal/door/api"
)

// newOf makes an empty value of what the pointer points to.
func newOf(pointer any) any { return reflect.New(reflect.TypeOf(pointer).Elem()).Interface() }

var pathX = param{"x", "path", "string", "name of a share, or a unique prefix of its v1 or v2 info hash"}

// torrentBody is the limit of a body that holds a .torrent in base64.
const torrentBody = api.MaxMetainfo/3*4 + api.MaxBody

// routes is the table of every call. The OpenAPI document is made from it.
func routes() []route {
	const p = api.Prefix
	return []route{
		{method: "GET", path: p + "/shares", id: "listShares", summary: "Every share, sorted by name.",
			answer: []api.Share{}, handle: (*Server).listShares},
		{method: "POST", path: p + "/shares", id: "addShare", summary: "Fetch a share from a link, a .torrent or the URL of one.",
			body: &api.AddRequest{}, maxBody: torrentBody, answer: api.Share{}, status: http.StatusCreated,
			kinds: []api.Kind{api.BadData, api.Exists, api.Path, api.DiskFull, api.OutOfScope, api.Unreachable, api.TooLarge}, handle: (*Server).addShare},
		{method: "POST", path: p + "/publish", id: "publish", summary: "Share a file or folder from where it lies; answers when it is hashed.",
			body: &api.CreateRequest{}, answer: api.Created{}, stream: true, status: http.StatusCreated,
			kinds: []api.Kind{api.Path, api.BadData, api.Refused, api.DiskFull}, handle: (*Server).publish},
		{method: "GET", path: p + "/shares/{x}", id: "getShare", summary: "One share at this moment.",
			params: []param{pathX}, answer: api.Share{}, kinds: xKinds, handle: (*Server).getShare},
		{method: "PATCH", path: p + "/shares/{x}", id: "changeShare", summary: "Pause, resume, fetch in order, try further peers.",
			params: []param{pathX}, body: &api.ShareChange{}, answer: api.Share{}, kinds: xKinds, handle: (*Server).changeShare},
		{method: "DELETE", path: p + "/shares/{x}", id: "removeShare", summary: "Forget a share; with data, delete what was fetched.",
			params: []param{pathX, {"data", "query", "boolean", "delete the files that were fetched"}},
			answer: api.Removed{}, kinds: append([]api.Kind{api.Refused}, xKinds...), handle: (*Server).removeShare},
		{method: "GET", path: p + "/shares/{x}/detail", id: "getDetail", summary: "Everything about one share: files, peers, trackers.",
			params: []param{pathX}, answer: api.Detail{}, kinds: xKinds, handle: (*Server).getDetail},
		{method: "POST", path: p + "/shares/{x}/verify", id: "verifyShare", summary: "Hash everything again; answers when that is done.",
			params: []param{pathX}, answer: api.Verified{}, stream: true, kinds: append([]api.Kind{api.Path}, xKinds...), handle: (*Server).verifyShare},
		{method: "GET", path: p + "/shares/{x}/torrent", id: "getTorrent", summary: "The .torrent of a share.",
			params: []param{pathX}, media: "application/x-bittorrent", kinds: append([]api.Kind{api.Unavailable}, xKinds...), handle: (*Server).getTorrent},
		{method: "GET", path: p + "/shares/{x}/limits", id: "getShareLimits", summary: "Bandwidth limits of one share.",
			params: []param{pathX}, answer: api.Limits{}, kinds: xKinds, handle: (*Server).getLimits},
		{method: "PATCH", path: p + "/shares/{x}/limits", id: "setShareLimits", summary: "Set bandwidth limits of one share.",
			params: []param{pathX}, body: &api.LimitChange{}, answer: api.Limits{}, kinds: xKinds, handle: (*Server).setLimits},
		{method: "GET", path: p + "/limits", id: "getLimits", summary: "Bandwidth limits of the node.",
			answer: api.Limits{}, handle: (*Server).getLimits},
		{method: "PATCH", path: p + "/limits", id: "setLimits", summary: "Set bandwidth limits of the node.",
			body: &api.LimitChange{}, answer: api.Limits{}, handle: (*Server).setLimits},
		{method: "POST", path: p + "/metainfo", id: "parseMetainfo", summary: "Read and judge a .torrent without adding it.",
			body: &api.ParseRequest{}, maxBody: torrentBody, answer: api.Metainfo{}, kinds: []api.Kind{api.BadData, api.TooLarge}, handle: (*Server).parseMetainfo},
		{method: "GET", path: p + "/status", id: "getStatus", summary: "What the node does.",
			answer: api.Status{}, handle: (*Server).getStatus},
		{method: "GET", path: p + "/health", id: "getHealth", summary: "200 if the node is well, else 503 with the reasons.",
			answer: api.Health{}, handle: (*Server).getHealth},
		{method: "GET", path: p + "/events", id: "events", summary: "What happens, as server-sent events; each event's data is JSON with its name in `event`.",
			params: []param{
				{"share", "query", "string", "only what is about this share; begins with a `share` event of how it is now, and its `done` event if it is complete"},
				{"progress", "query", "number", "seconds between `progress` events, 0.1 to 60; absent: none"},
			}, media: "text/event-stream", kinds: xKinds, handle: (*Server).events},
		{method: "GET", path: p + "/openapi.json", id: "openapi", summary: "This document.",
			media: "application/json", handle: (*Server).getOpenAPI},
		{method: "GET", path: "/metrics", id: "metrics", summary: "Counters and gauges in the Prometheus text format.",
			media: "text/plain; version=0.0.4; charset=utf-8", handle: (*Server).metrics},
	}
}

// xKinds are the failures of every call that names a share.
var xKinds = []api.Kind{api.NotFound, api.Ambiguous}

// everyKind are the failures that any call may have.
var everyKind = []api.Kind{api.Internal, api.Invalid, api.Unauthorized, api.Refused, api.TooMany, api.Unavailable}

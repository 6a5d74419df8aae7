package httpd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sort"
	"strings"
	"time"

	"shoal/internal/door/api"
)

// route is one call: what answers it, and all that the OpenAPI document says of it.
type route struct {
	method  string
	path    string // as in ServeMux and OpenAPI: {x} is one segment
	id      string // operationId
	summary string
	params  []param
	body    any        // pointer to a zero request, nil for none
	maxBody int64      // 0: api.MaxBody
	answer  any        // zero answer; nil: not JSON, see media
	media   string     // content type of an answer that is not JSON
	stream  bool       // may also answer with events, if asked to by Accept
	status  int        // of success; 0: 200
	kinds   []api.Kind // failures of its own, beside those that every call has

	handle func(s *Server, c *call) (any, error)
}

// param is a parameter in the path or the query.
type param struct {
	name, in, kind, doc string // kind is boolean, number or string
}

// call is one request under way.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	body any // decoded request, of the type of route.body
}

// errAnswered is returned by a handler that has written its answer itself.
var errAnswered = errors.New("httpd: answered")

// muxOf serves a table: paths with their methods, and a problem for all else.
func (s *Server) muxOf(table []route) *http.ServeMux {
	byPath := map[string]map[string]route{}
	for _, rt := range table {
		if byPath[rt.path] == nil {
			byPath[rt.path] = map[string]route{}
		}
		byPath[rt.path][rt.method] = rt
	}
	mux := http.NewServeMux()
	for path, methods := range byPath {
		mux.Handle(path, s.dispatch(methods))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.problem(w, r, api.Errorf(api.NotFound, r.URL.Path, "there is no such path").Try("see %s/openapi.json", api.Prefix))
	})
	return mux
}

// dispatch chooses by method; HEAD is GET without the body.
func (s *Server) dispatch(methods map[string]route) http.Handler {
	var allow []string
	for m := range methods {
		allow = append(allow, m)
	}
	sort.Strings(allow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		rt, ok := methods[method]
		if !ok {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			s.problem(w, r, api.Errorf(api.Method, r.Method, "this path does not take that method").Try("use %s", strings.Join(allow, " or ")))
			return
		}
		s.answer(rt, &call{w: w, r: r})
	})
}

// answer runs one call.
func (s *Server) answer(rt route, c *call) {
	err := readBody(rt, c)
	var v any
	if err == nil {
		v, err = rt.handle(s, c)
	}
	switch {
	case errors.Is(err, errAnswered):
	case err != nil:
		s.problem(c.w, c.r, err)
	default:
		status := rt.status
		if status == 0 {
			status = http.StatusOK
		}
		writeJSON(c.w, status, "application/json", v)
	}
}

// readBody decodes the JSON of a request: the right content type, within its
// limit and time, known fields only, and nothing behind it.
func readBody(rt route, c *call) error {
	if rt.body == nil {
		if c.r.ContentLength != 0 && c.r.Method != http.MethodGet && c.r.Method != http.MethodDelete {
			return api.Errorf(api.Invalid, c.r.URL.Path, "this call takes no body")
		}
		return nil
	}
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return api.Errorf(api.MediaType, c.r.Header.Get("Content-Type"), "a body must be application/json")
	}
	limit := rt.maxBody
	if limit == 0 {
		limit = api.MaxBody
	}
	body := http.MaxBytesReader(c.w, c.r.Body, limit)
	c.body = newOf(rt.body)
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	err := dec.Decode(c.body)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the JSON value")
		}
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return api.Errorf(api.TooLarge, c.r.URL.Path, "the body is larger than %d bytes", limit)
	}
	if err != nil {
		return api.Errorf(api.Invalid, c.r.URL.Path, "the body is not what this call takes: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	http.NewResponseController(c.w).SetReadDeadline(time.Time{})
	return nil
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, fmt.Appendf(nil, `{"title":%q}`, err)
	}
	writeBytes(w, status, kind, append(b, '\n'))
}

func writeBytes(w http.ResponseWriter, status int, kind string, b []byte) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}

package httpd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"shoal/internal/door/api"
	"shoal/internal/door/httpd"
	"shoal/internal/door/httpd/fakenode"
)

type doc = map[string]any

func document(t *testing.T, d *door) doc {
	t.Helper()
	resp, body := d.do(t, "GET", "/api/v1/openapi.json", "")
	var m doc
	if err := json.Unmarshal([]byte(body), &m); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return m
}

// TestDocumentAndHandlersAgree walks both ways: each operation of the document is
// answered, and each route of the table is in the document.
func TestDocumentAndHandlersAgree(t *testing.T) {
	d := openFake(t)
	m := document(t, d)
	if m["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", m["openapi"])
	}
	described := map[string]bool{}
	ids := map[string]bool{}
	for path, item := range m["paths"].(doc) {
		for method, op := range item.(doc) {
			described[strings.ToUpper(method)+" "+path] = true
			id := op.(doc)["operationId"].(string)
			if ids[id] {
				t.Errorf("operation %s twice", id)
			}
			ids[id] = true
			checkParams(t, path, op.(doc))
			if strings.Contains(path, "/events") || strings.Contains(path, "pprof/profile") || strings.Contains(path, "pprof/trace") {
				continue // they would last
			}
			resp, body := d.do(t, strings.ToUpper(method), strings.NewReplacer("{x}", "nope", "{g}", "nope", "{m}", "nope", "{profile}", "heap").Replace(path), "")
			known := op.(doc)["responses"].(doc)[fmt.Sprint(resp.StatusCode)]
			if known == nil && resp.StatusCode != http.StatusUnsupportedMediaType || strings.Contains(body, "no such path") || resp.StatusCode == 405 {
				t.Errorf("%s %s is answered by %d %.100s, which the document does not know", method, path, resp.StatusCode, body)
			}
		}
	}
	var served []string
	for _, r := range httpd.RouteList(d.node.Door()) {
		served = append(served, r)
		if !described[r] {
			t.Errorf("%s is served and not described", r)
		}
	}
	for r := range described {
		if !slices.Contains(served, r) && !strings.Contains(r, "/debug/pprof") {
			t.Errorf("%s is described and not served", r)
		}
	}
}

// TestPageListsEveryCall keeps docs/formats/api.md in step with the table.
func TestPageListsEveryCall(t *testing.T) {
	page, err := os.ReadFile("../../../docs/formats/api.md")
	if err != nil {
		t.Fatal(err)
	}
	routes := httpd.RouteList(fakenode.New(nil).Door())
	for _, r := range routes {
		if !strings.Contains(string(page), "| "+r+" |") {
			t.Errorf("docs/formats/api.md lacks %s", r)
		}
	}
	for line := range strings.Lines(string(page)) {
		if call, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.Contains(call, " /") && !slices.Contains(routes, call) {
			t.Errorf("docs/formats/api.md has %s, which is not served", call)
		}
	}
}

// checkParams wants every {name} of a path described, and nothing else in path.
func checkParams(t *testing.T, path string, op doc) {
	t.Helper()
	var names []string
	if list, ok := op["parameters"].([]any); ok {
		for _, p := range list {
			if p.(doc)["in"] == "path" {
				names = append(names, "{"+p.(doc)["name"].(string)+"}")
			}
		}
	}
	if strings.Count(path, "{") != len(names) {
		t.Errorf("%s: parameters %v", path, names)
	}
	for _, n := range names {
		if !strings.Contains(path, n) {
			t.Errorf("%s has no %s", path, n)
		}
	}
}

// TestReferencesResolve wants every $ref to lead to a schema.
func TestReferencesResolve(t *testing.T) {
	m := document(t, openFake(t))
	defs := m["components"].(doc)["schemas"].(doc)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case doc:
			if ref, ok := v["$ref"].(string); ok {
				if s, ok := defs[strings.TrimPrefix(ref, "#/components/schemas/")].(doc); !ok || s == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(m)
}

// TestAnswersFitTheirSchemas compares real answers with what the document says.
func TestAnswersFitTheirSchemas(t *testing.T) {
	d := openFake(t)
	made := publish(t, d, "file")
	if _, err := d.client.Add(t.Context(), api.AddRequest{Link: link + "x", Dir: t.TempDir(), Peers: []string{"127.0.0.1:5"}}); err != nil {
		t.Fatal(err)
	}
	v := validator{t, document(t, d)["components"].(doc)["schemas"].(doc)}
	for _, tc := range []struct{ method, path, body, schema string }{
		{"GET", "/api/v1/shares/" + made.InfoHash, "", "Share"},
		{"GET", "/api/v1/shares/file/detail", "", "Detail"},
		{"GET", "/api/v1/shares/x/detail", "", "Detail"},
		{"PATCH", "/api/v1/shares/file", `{"paused":true}`, "Share"},
		{"POST", "/api/v1/shares/file/verify", "", "Verified"},
		{"GET", "/api/v1/limits", "", "Limits"},
		{"PATCH", "/api/v1/shares/file/limits", `{"up":1000}`, "Limits"},
		{"GET", "/api/v1/status", "", "Status"},
		{"GET", "/api/v1/health", "", "Health"},
		{"GET", "/api/v1/nothing", "", "Problem"},
		{"GET", "/api/v1/id", "", "Identity"},
		{"POST", "/api/v1/groups", `{"name":"home"}`, "Group"},
		{"POST", "/api/v1/groups/home/tickets", `{}`, "Invitation"},
		{"POST", "/api/v1/join", `{"ticket":"` + fakenode.Ticket + `"}`, "Admission"},
		{"GET", "/api/v1/groups/family", "", "GroupDetail"},
		{"POST", "/api/v1/groups", `{"name":"busy"}`, "Group"},
		{"GET", "/api/v1/peers", "", "Peers"},
		{"POST", "/api/v1/connect", `{"node":"carl\u001b[31m"}`, "Connection"},
		{"POST", "/api/v1/connect", `{"address":"192.0.2.53:6881"}`, "Connection"},
		{"GET", "/api/v1/status", "", "Status"},
		{"GET", "/api/v1/groups/home", "", "GroupDetail"},
		{"DELETE", "/api/v1/groups/home/tickets", "", "Revoked"},
		{"DELETE", "/api/v1/groups/home", "", "GroupLeft"},
		{"DELETE", "/api/v1/shares/file", "", "Removed"},
	} {
		_, body := d.do(t, tc.method, tc.path, tc.body)
		var got any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		v.check(tc.path, got, doc{"$ref": "#/components/schemas/" + tc.schema})
	}
}

// validator knows as much of JSON Schema as the document uses.
type validator struct {
	t    *testing.T
	defs doc
}

func (v validator) check(at string, got any, schema doc) {
	if ref, ok := schema["$ref"].(string); ok {
		v.check(at, got, v.defs[strings.TrimPrefix(ref, "#/components/schemas/")].(doc))
		return
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, got) {
		v.t.Errorf("%s: %v is none of %v", at, got, enum)
	}
	switch kind := schema["type"]; x := got.(type) {
	case doc:
		props, _ := schema["properties"].(doc)
		for name, val := range x {
			p, ok := props[name].(doc)
			if !ok {
				v.t.Errorf("%s: %s is not described", at, name)
				continue
			}
			v.check(at+"."+name, val, p)
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := x[name.(string)]; !ok {
				v.t.Errorf("%s: %s is missing", at, name)
			}
		}
	case []any:
		if kind != "array" {
			v.t.Errorf("%s: an array, want %v", at, kind)
			return
		}
		for i, e := range x {
			v.check(fmt.Sprintf("%s[%d]", at, i), e, schema["items"].(doc))
		}
	case string:
		v.is(at, kind, "string")
	case bool:
		v.is(at, kind, "boolean")
	case float64:
		if kind == "integer" && x != float64(int64(x)) {
			v.t.Errorf("%s: %v is no integer", at, x)
		}
		v.is(at, kind, "number", "integer")
	default:
		v.t.Errorf("%s: null, want %v", at, kind)
	}
}

func (v validator) is(at string, kind any, want ...string) {
	if s, _ := kind.(string); !slices.Contains(want, s) {
		v.t.Errorf("%s: a %s, want %v", at, want[0], kind)
	}
}

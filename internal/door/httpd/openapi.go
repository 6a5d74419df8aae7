package httpd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"shoal/internal/door/api"
)

// object is a JSON object of the document; encoding/json sorts its keys, so the
// document is the same in every run.
type object = map[string]any

// openAPI makes the OpenAPI 3.1 document from the table of routes and the types
// of package api, whose doc and enum tags describe the fields.
func openAPI(table []route, events []reflect.Type) []byte {
	g := &schemas{defs: object{}}
	paths := object{}
	for _, rt := range table {
		item, _ := paths[rt.path].(object)
		if item == nil {
			item = object{}
			paths[rt.path] = item
		}
		item[strings.ToLower(rt.method)] = g.operation(rt)
	}
	g.of(reflect.TypeFor[api.Problem]())
	for _, e := range events {
		g.of(e)
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "shoal",
			"version":     api.Version,
			"description": "Sizes are bytes, rates bytes a second, durations seconds, times RFC 3339. Every failure is a problem (RFC 9457) whose type ends in the error kind.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []any{object{"url": "http://127.0.0.1:7462", "description": "the default port of `shoal up`"}},
		"paths":      paths,
		"security":   []any{object{"token": []string{}}},
		"components": object{"schemas": g.defs, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "the line of api.token in the home; not needed on the home's socket"}}},
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil // the test of the document fails
	}
	return append(b, '\n')
}

// eventTypes are described too, as the event stream carries them.
var eventTypes = []reflect.Type{
	reflect.TypeFor[api.Ready](), reflect.TypeFor[api.ShareEvent](), reflect.TypeFor[api.RemovedEvent](),
	reflect.TypeFor[api.ProgressEvent](), reflect.TypeFor[api.Done](), reflect.TypeFor[api.Changed](),
	reflect.TypeFor[api.Penalised](), reflect.TypeFor[api.TrackerEvent](), reflect.TypeFor[api.Notice](),
	reflect.TypeFor[api.Missed](), reflect.TypeFor[api.Hashing](),
}

// eventTypes are those of this node.
func (s *Server) eventTypes() []reflect.Type {
	if s.node.Groups == nil {
		return eventTypes
	}
	return append(eventTypes[:len(eventTypes):len(eventTypes)], reflect.TypeFor[api.GroupEvent](), reflect.TypeFor[api.MemberEvent]())
}

// operation describes one route.
func (g *schemas) operation(rt route) object {
	op := object{"operationId": rt.id, "summary": rt.summary, "responses": g.responses(rt)}
	var params []any
	for _, p := range rt.params {
		params = append(params, object{"name": p.name, "in": p.in, "required": p.in == "path", "description": p.doc, "schema": object{"type": p.kind}})
	}
	if rt.id == "pprofNamed" {
		params = append(params, object{"name": "profile", "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	if params != nil {
		op["parameters"] = params
	}
	if rt.body != nil {
		op["requestBody"] = object{"required": true, "content": object{
			"application/json": object{"schema": g.of(reflect.TypeOf(rt.body).Elem())}}}
	}
	return op
}

func (g *schemas) responses(rt route) object {
	content := object{}
	if rt.answer != nil {
		content["application/json"] = object{"schema": g.of(reflect.TypeOf(rt.answer))}
	} else {
		content[rt.media] = object{"schema": object{}}
	}
	if rt.stream {
		content["text/event-stream"] = object{"schema": object{"type": "string", "description": "`hashing` events, then `result` with this answer or `problem`"}}
	}
	status := rt.status
	if status == 0 {
		status = http.StatusOK
	}
	out := object{strconv.Itoa(status): object{"description": "done", "content": content}}
	if rt.id == "getHealth" {
		out["503"] = object{"description": "not well", "content": content}
	}
	byStatus := map[int][]string{}
	for _, k := range append(append([]api.Kind{}, everyKind...), rt.kinds...) {
		byStatus[k.Status()] = append(byStatus[k.Status()], string(k))
	}
	for status, names := range byStatus {
		key := strconv.Itoa(status)
		if out[key] == nil {
			out[key] = object{"description": strings.Join(names, ", "), "content": object{
				"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}
		}
	}
	return out
}

// schemas collects the JSON schemas of named types.
type schemas struct {
	defs object
}

// of is the schema of a type; structs become components.
func (g *schemas) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return g.of(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return object{"type": "string", "contentEncoding": "base64"}
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": g.of(t.Elem())}
	case t.Kind() == reflect.Struct:
		if _, ok := g.defs[t.Name()]; !ok {
			g.defs[t.Name()] = nil // breaks the circle of types that hold themselves
			g.defs[t.Name()] = g.structOf(t)
		}
		return object{"$ref": "#/components/schemas/" + t.Name()}
	case t == reflect.TypeFor[api.Kind]():
		return object{"type": "string", "enum": api.Kinds()}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	}
	panic(fmt.Sprintf("httpd: no schema for %s", t)) // a field that any test of the document finds
}

// structOf is the schema of a struct; embedded ones are laid flat, as JSON does.
func (g *schemas) structOf(t reflect.Type) object {
	props := object{}
	required := []string{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && name == "" {
				walk(f.Type)
				continue
			}
			if name == "-" {
				continue
			}
			props[name] = g.field(f)
			if !strings.Contains(opts, "omit") {
				required = append(required, name)
			}
		}
	}
	walk(t)
	out := object{"type": "object", "properties": props}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// field is the schema of a field with what its tags say.
func (g *schemas) field(f reflect.StructField) object {
	s := g.of(f.Type)
	if doc := f.Tag.Get("doc"); doc != "" {
		s["description"] = doc
	}
	if enum := f.Tag.Get("enum"); enum != "" {
		s["enum"] = strings.Split(enum, ",")
	}
	return s
}

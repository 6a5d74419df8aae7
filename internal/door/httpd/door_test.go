package httpd_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/httpd"
	"shoal/internal/door/httpd/fakenode"
)

const token = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

const link = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn="

// door is a server over a fake node, with its socket and its TCP port.
type door struct {
	node   *fakenode.Node
	client *api.Client // over the socket
	base   string      // of TCP
	dir    string
}

func open(t *testing.T, n *fakenode.Node, node httpd.Node) *door {
	t.Helper()
	d := &door{node: n, dir: t.TempDir()}
	sock, err := httpd.ListenSocket(filepath.Join(d.dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := httpd.ListenLoopback(0)
	if err != nil {
		t.Fatal(err)
	}
	d.base = "http://" + tcp[0].Addr().String()
	s := httpd.New(node, httpd.Config{Token: token, Hosts: []string{"box.example"}, URL: d.base, Pprof: true})
	served := make(chan error, 3)
	go func() { served <- s.ServeOwner(sock) }()
	for _, l := range tcp {
		go func() { served <- s.ServeToken(l) }()
	}
	d.client = api.NewSocketClient(filepath.Join(d.dir, "s"))
	t.Cleanup(func() {
		d.client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		for range len(tcp) + 1 {
			if err := <-served; err != nil {
				t.Errorf("serve: %v", err)
			}
		}
	})
	return d
}

func openFake(t *testing.T) *door {
	n := fakenode.New(new(fakenode.World))
	return open(t, n, n.Door())
}

// do sends a request over TCP with the token and the given headers ("Host" too).
func (d *door) do(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, d.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func publish(t *testing.T, d *door, name string) api.Created {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte("content of "+name), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := d.client.Publish(t.Context(), api.CreateRequest{Path: p}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kindOf(err error) api.Kind {
	if err == nil {
		return "none"
	}
	return api.KindOf(err)
}

func TestCallsOverTheSocket(t *testing.T) {
	d, ctx := openFake(t), t.Context()
	made := publish(t, d, "one")
	two := publish(t, d, "two")
	list, err := d.client.List(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "one" || list[1].InfoHash != two.InfoHash {
		t.Fatalf("list: %v %v", list, err)
	}
	up := api.Rate(500_000)
	if l, err := d.client.SetLimits(ctx, "one", api.LimitChange{Up: &up}); err != nil || l != (api.Limits{Up: up}) {
		t.Errorf("limits of a share: %v %v", l, err)
	}
	for _, bad := range []api.Rate{-1, api.MaxRate + 1, math.MaxInt64} {
		if l, err := d.client.SetLimits(ctx, "one", api.LimitChange{Down: &bad}); kindOf(err) != api.Invalid {
			t.Errorf("a limit of %d: %v %v", bad, l, err)
		}
	}
	if l, err := d.client.Limits(ctx, ""); err != nil || l != (api.Limits{}) {
		t.Errorf("limits of the node: %v %v", l, err)
	}
	yes := true
	if s, err := d.client.Change(ctx, made.InfoHash[:10], api.ShareChange{Paused: &yes, AddPeers: []string{"127.0.0.1:9"}}); err != nil || s.State != api.StatePaused {
		t.Errorf("pause: %v %v", s, err)
	}
	if det, err := d.client.Detail(ctx, made.InfoHashV1); err != nil || len(det.PeerList) != 1 || det.Limits.Up != up {
		t.Errorf("detail: %v %v", det, err)
	}
	if v, err := d.client.Verify(ctx, "one", nil); err != nil || v.Good != v.Pieces {
		t.Errorf("verify: %v %v", v, err)
	}
	if b, err := d.client.Torrent(ctx, "one"); err != nil || len(b) == 0 {
		t.Errorf("torrent: %q %v", b, err)
	}
	if _, err := d.client.Remove(ctx, "one", true); kindOf(err) != api.Refused {
		t.Errorf("rm --data of an original: %v", err)
	}
	if r, err := d.client.Remove(ctx, "one", false); err != nil || r.Name != "one" || r.Data {
		t.Errorf("rm: %v %v", r, err)
	}
	if st, err := d.client.Status(ctx); err != nil || st.Shares != 1 || st.PID != os.Getpid() || st.API != d.base {
		t.Errorf("status: %+v %v", st, err)
	}
	d.node.Sick = []string{"the disk is full"}
	if h, err := d.client.Health(ctx); err != nil || h.OK || len(h.Reasons) != 1 {
		t.Errorf("health: %v %v", h, err)
	}
}

func TestWhatXMeans(t *testing.T) {
	d := openFake(t)
	a, b := publish(t, d, "same"), publish(t, d, "other")
	c := publish(t, d, b.InfoHash[:6]) // a name that is also a prefix: the name wins
	for _, tc := range []struct {
		x    string
		want string
		kind api.Kind
	}{
		{"same", a.InfoHash, ""},
		{a.InfoHash, a.InfoHash, ""},
		{strings.ToUpper(a.InfoHash), a.InfoHash, ""},
		{a.InfoHashV1, a.InfoHash, ""},
		{a.InfoHashV1[:8], a.InfoHash, ""},
		{a.InfoHashV2[:8], a.InfoHash, ""},
		{b.InfoHash[:6], c.InfoHash, ""},
		{"nothing like that", "", api.NotFound},
		{strings.Repeat("0", 40), "", api.NotFound},
		{"../../etc", "", api.NotFound},
		{"a/b?c#d%2f", "", api.NotFound},
	} {
		s, err := d.client.Share(t.Context(), tc.x)
		if err == nil && s.InfoHash != tc.want || err != nil && kindOf(err) != tc.kind {
			t.Errorf("%q: %s %v, want %q %q", tc.x, s.InfoHash, err, tc.want, tc.kind)
		}
	}
	for _, name := range []string{"same", "same"} { // same name, other content: two shares of one name
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, []byte(t.TempDir()), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := d.client.Publish(t.Context(), api.CreateRequest{Path: p}, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, err := d.client.Share(t.Context(), "same")
	if kindOf(err) != api.Ambiguous || !strings.Contains(err.Error(), "3 shares fit") {
		t.Errorf("three of one name: %v", err)
	}
}

// TestGuard asks every route, and paths that are none, in ways that only a web
// page or a stranger would.
func TestGuard(t *testing.T) {
	d := openFake(t)
	port := d.base[strings.LastIndex(d.base, ":"):]
	type ask struct {
		name    string
		headers []string
		status  int
		kind    api.Kind
	}
	asks := []ask{
		{"another host", []string{"Host", "evil.example"}, 403, api.Refused},
		{"another host with our port", []string{"Host", "evil.example" + port}, 403, api.Refused},
		{"our host without the port", []string{"Host", "127.0.0.1"}, 403, api.Refused},
		{"another loopback address", []string{"Host", "127.0.0.2" + port}, 403, api.Refused},
		{"localhost with a dot", []string{"Host", "localhost." + port}, 403, api.Refused},
		{"another origin", []string{"Origin", "http://evil.example"}, 403, api.Refused},
		{"our origin on another port", []string{"Origin", "http://127.0.0.1:1"}, 403, api.Refused},
		{"https origin", []string{"Origin", "https://127.0.0.1" + port}, 403, api.Refused},
		{"null origin", []string{"Origin", "null"}, 403, api.Refused},
		{"no token", []string{"Authorization", ""}, 401, api.Unauthorized},
		{"wrong token", []string{"Authorization", "Bearer " + strings.Repeat("0", 64)}, 401, api.Unauthorized},
		{"token with more behind it", []string{"Authorization", "Bearer " + token + "0"}, 401, api.Unauthorized},
		{"token by another scheme", []string{"Authorization", "Basic " + token}, 401, api.Unauthorized},
	}
	paths := []string{"/api/v1/shares", "/api/v1/events", "/api/v1/health", "/api/v1/openapi.json", "/metrics", "/debug/pprof/", "/", "/nothing"}
	for _, a := range asks {
		for i, p := range paths {
			if a.status == 401 && i > 2 {
				continue // ten wrong tokens a minute are answered so
			}
			resp, body := d.do(t, "GET", p, "", a.headers...)
			status, kind := a.status, a.kind
			if resp.StatusCode == 429 && a.status == 401 {
				status, kind = 429, api.TooMany
			}
			if resp.StatusCode != status || !strings.Contains(body, `"type":"urn:shoal:problem:`+string(kind)+`"`) {
				t.Errorf("%s, %s: %d %s", a.name, p, resp.StatusCode, body)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s, %s: allowed across origins", a.name, p)
			}
			for _, h := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cache-Control"} {
				if resp.Header.Get(h) == "" {
					t.Errorf("%s, %s: no %s", a.name, p, h)
				}
			}
		}
	}
	for _, a := range []ask{
		{"as we are", nil, 200, ""},
		{"localhost", []string{"Host", "localhost" + port}, 200, ""},
		{"IPv6", []string{"Host", "[::1]" + port}, 200, ""},
		{"configured name", []string{"Host", "box.example" + port}, 200, ""},
		{"our own page", []string{"Origin", d.base, "Sec-Fetch-Site", "same-origin"}, 200, ""},
	} {
		if resp, body := d.do(t, "GET", "/api/v1/shares", "", a.headers...); resp.StatusCode != a.status {
			t.Errorf("%s: %d %s", a.name, resp.StatusCode, body)
		}
	}
	if resp, _ := d.do(t, "PATCH", "/api/v1/limits", `{}`, "Sec-Fetch-Site", "cross-site"); resp.StatusCode != 403 {
		t.Errorf("a write from another site: %d", resp.StatusCode)
	}
	if resp, _ := d.do(t, "OPTIONS", "/api/v1/limits", "", "Access-Control-Request-Method", "PATCH"); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, PATCH" {
		t.Errorf("preflight: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestBadRequests(t *testing.T) {
	d := openFake(t)
	big := `{"path":"/` + strings.Repeat("a", api.MaxBody) + `"}`
	for _, tc := range []struct {
		method, path, body, contentType string
		kind                            api.Kind
		says                            string
	}{
		{"POST", "/api/v1/shares", "", "", api.MediaType, ""},
		{"POST", "/api/v1/shares", `{}`, "text/plain", api.MediaType, "application/json"},
		{"POST", "/api/v1/shares", `{`, "", api.Invalid, ""},
		{"POST", "/api/v1/shares", `{} {}`, "", api.Invalid, "follows"},
		{"POST", "/api/v1/shares", `{"lnk":"x"}`, "", api.Invalid, `unknown field \"lnk\"`},
		{"POST", "/api/v1/shares", `{"dir":"/tmp"}`, "", api.Invalid, "exactly one"},
		{"POST", "/api/v1/shares", `{"dir":"tmp","link":"magnet:?"}`, "", api.Invalid, "absolute"},
		{"POST", "/api/v1/shares", `{"dir":"/tmp","link":"magnet:?"}`, "", api.BadData, ""},
		{"POST", "/api/v1/shares", `{"dir":"/tmp","link":"magnet:?","peers":["nonsense"]}`, "", api.Invalid, "address of a peer"},
		{"POST", "/api/v1/shares", `{"dir":"/tmp","link":"magnet:?","select":["[a"]}`, "", api.Invalid, "pattern"},
		{"POST", "/api/v1/shares", `{"dir":"/tmp","torrent":"!"}`, "", api.Invalid, ""},
		{"POST", "/api/v1/metainfo", `{"torrent":"` + "bm9uc2Vuc2U=" + `"}`, "", api.BadData, ""},
		{"POST", "/api/v1/publish", `{"path":"/nowhere/at/all"}`, "", api.Path, ""},
		{"POST", "/api/v1/publish", `{"path":"/tmp","name":"a/b"}`, "", api.Invalid, "path"},
		{"POST", "/api/v1/publish", `{"path":"/tmp","format":"v3"}`, "", api.Invalid, "hybrid"},
		{"POST", "/api/v1/publish", `{"path":"/tmp","piece_length":17000}`, "", api.Invalid, "power of two"},
		{"POST", "/api/v1/publish", big, "", api.TooLarge, "1048576"},
		{"PATCH", "/api/v1/limits", `{"up":-1}`, "", api.Invalid, "between 0"},
		{"PATCH", "/api/v1/shares/nope", `{}`, "", api.NotFound, "shoal ls"},
		{"DELETE", "/api/v1/shares/nope?data=perhaps", "", "", api.Invalid, "true or false"},
		{"GET", "/api/v1/events?progress=0", "", "", api.Invalid, "60"},
		{"GET", "/api/v1/events?progress=NaN", "", "", api.Invalid, "60"},
		{"GET", "/api/v1/events?share=nope", "", "", api.NotFound, ""},
		{"PUT", "/api/v1/shares", "", "", api.Method, "GET or POST"},
		{"GET", "/api/v2/shares", "", "", api.NotFound, "openapi.json"},
	} {
		var headers []string
		if tc.contentType != "" {
			headers = []string{"Content-Type", tc.contentType}
		}
		resp, body := d.do(t, tc.method, tc.path, tc.body, headers...)
		var p api.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Errorf("%s %s: %v in %q", tc.method, tc.path, err, body)
			continue
		}
		if p.Code != tc.kind || resp.StatusCode != tc.kind.Status() || p.Status != resp.StatusCode || !strings.Contains(body, tc.says) ||
			resp.Header.Get("Content-Type") != "application/problem+json" || p.Exit != tc.kind.Exit() {
			t.Errorf("%s %s %.60s: %d %s; want %s, %q", tc.method, tc.path, tc.body, resp.StatusCode, body, tc.kind, tc.says)
		}
	}
	req, err := http.NewRequest("GET", d.base+"/api/v1/shares", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("a", 20<<10))
	resp, err := http.DefaultTransport.RoundTrip(req) // the server may cut while we still send
	if err == nil && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("20 KiB of header: %d", resp.StatusCode)
	}
}

// bug is a node with a defect.
type bug struct{ httpd.Shares }

func (bug) List(context.Context) ([]api.Share, error) { panic("a defect") }

func TestABugIsAProblem(t *testing.T) {
	n := fakenode.New(new(fakenode.World))
	door := n.Door()
	door.Shares = bug{n}
	d := open(t, n, door)
	_, err := d.client.List(t.Context())
	if kindOf(err) != api.Internal || !strings.Contains(err.Error(), "bug") {
		t.Errorf("got %v", err)
	}
	if _, err := d.client.Status(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestSocketIsTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "api.sock")
	for range 2 { // the second replaces what the first left
		l, err := httpd.ListenSocket(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode()&os.ModeSocket == 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		names, err := os.ReadDir(dir)
		if err != nil || len(names) != 1 {
			t.Errorf("the folder holds %v, %v", names, err)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		t.Cleanup(func() { l.Close() })
	}
}

func TestATakenPortSaysSo(t *testing.T) {
	l, err := httpd.ListenLoopback(0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, l := range l {
			l.Close()
		}
	}()
	_, err = httpd.ListenLoopback(l[0].Addr().(*net.TCPAddr).Port)
	if !errors.Is(err, syscall.EADDRINUSE) || api.KindOf(err) != api.PortTaken {
		t.Errorf("got %v", err)
	}
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	s := httpd.New(fakenode.New(new(fakenode.World)).Door(), httpd.Config{Token: token})
	if err := s.ServeToken(l); err == nil {
		t.Error("a listener on every address was served")
	}
}

func TestMetricsText(t *testing.T) {
	got := string(httpd.AppendMetrics(nil, []api.Metric{
		{Name: "shoal_a_total", Help: "Two\nlines \\.", Kind: api.Counter, Samples: []api.Sample{
			{Labels: [][2]string{{"x", "a\"b\n\xff"}, {"y", ""}}, Value: 1e9}, {Value: 0.25}}},
		{Name: "shoal_b", Help: "None.", Kind: api.Gauge},
	}))
	want := "# HELP shoal_a_total Two\\nlines \\\\.\n# TYPE shoal_a_total counter\n" +
		"shoal_a_total{x=\"a\\\"b\\n\uFFFD\",y=\"\"} 1000000000\nshoal_a_total 0.25\n" +
		"# HELP shoal_b None.\n# TYPE shoal_b gauge\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	d := openFake(t)
	resp, body := d.do(t, "GET", "/metrics", "")
	if resp.Header.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" ||
		!strings.Contains(body, `shoal_penalties_total{reason="bad_block",action="ban"} 3`) || !strings.Contains(body, "shoal_build_info{version=") {
		t.Errorf("%v %s", resp.Header, body)
	}
}

package node

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"shoal/internal/door/api"
)

// TestFetchKeepsToTheScope: in scope internet a private or loopback address may be asked for a
// .torrent if the person typed it, and not because a server points there.
func TestFetchKeepsToTheScope(t *testing.T) {
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	defer s.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("secret")) }))
	defer other.Close()
	mux.HandleFunc("/x.torrent", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("content")) })
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x.torrent", http.StatusFound) })
	mux.HandleFunc("/there", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(api.MaxMetainfo+1))
		w.Write([]byte("d"))
	})
	localhost := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	for _, tc := range []struct {
		scope Scope
		url   string
		kind  api.Kind // "": fetched
	}{
		{Internet, s.URL + "/x.torrent", ""},
		{Internet, localhost + "/x.torrent", ""},
		{Internet, s.URL + "/here", ""},
		{Internet, s.URL + "/there", api.OutOfScope},
		{Loopback, s.URL + "/there", ""},
		{Loopback, s.URL + "/round", api.Unreachable},
		{Loopback, s.URL + "/nothing", api.NotFound},
		{Loopback, s.URL + "/huge", api.BadData},
		{Loopback, "http://10.0.0.1/x.torrent", api.OutOfScope},
		{Loopback, "http://name.example/x.torrent", api.OutOfScope},
		{Loopback, "http:///x.torrent", api.Invalid},
		{Loopback, "http://%zz/", api.Invalid},
	} {
		n := &Node{opts: Options{Config: DefaultConfig()}, names: &resolver{tc.scope}}
		n.opts.Config.Network.Scope = tc.scope
		b, err := n.fetch(t.Context(), tc.url)
		if (err == nil) != (tc.kind == "") || err != nil && api.KindOf(err) != tc.kind || err == nil && len(b) == 0 {
			t.Errorf("%s %s: %q, %v", tc.scope, tc.url, b[:min(len(b), 20)], err)
		}
	}
}

// TestCheckPeers: what a person types as a peer's address.
func TestCheckPeers(t *testing.T) {
	if err := checkPeers([]string{"10.0.0.1:7463", "[::1]:1", "box.example:65535"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "a", ":1", "a:0", "a:65536", "a:x", "::1:1", "a:-1"} {
		if err := checkPeers([]string{bad}); api.KindOf(err) != api.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestListenOnAnyPort: all addresses get one number; one that is taken is told, or another
// is used.
func TestListenOnAnyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	o := Options{Home: openHome(t), Config: DefaultConfig(), PortStrict: true}
	o.Config.Network.Scope, o.Config.Network.Port = Loopback, taken
	if _, err := Start(o); api.KindOf(err) != api.PortTaken || !strings.Contains(err.Error(), "--port") {
		t.Errorf("a taken port: %v", err)
	}
	n := startNode(t, openHome(t), func(o *Options) { o.Config.Network.Port = taken })
	ports := map[uint16]bool{}
	for _, a := range n.Listening() {
		ports[netip.MustParseAddrPort(a).Port()] = true
	}
	if len(ports) != 1 || ports[uint16(taken)] {
		t.Errorf("listening on %v", n.Listening())
	}
}

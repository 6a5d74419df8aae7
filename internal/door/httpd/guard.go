package httpd

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"shoal/internal/door/api"
)

// secure puts the headers on every answer, errors and unknown paths included,
// and turns a panic into a problem with its stack in the log.
func (s *Server) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				s.cfg.Log.Error("api: bug", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				s.problem(w, r, api.Errorf(api.Internal, "", "a bug in the node; its log has the details"))
			}
		}()
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		ctl := http.NewResponseController(w)
		ctl.SetWriteDeadline(time.Time{}) // that of the answer before is still set
		if r.ContentLength != 0 {
			// Also bounds what the server reads away behind a handler that did not.
			ctl.SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		next.ServeHTTP(w, r)
	})
}

// guard judges every request on TCP: the Host it was sent to (a foreign one is
// DNS rebinding), the Origin it came from (any other than this is refused, also
// for GET), cross-site writes, and the token.
func (s *Server) guard(hosts map[string]bool, next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	want := sha256.Sum256([]byte(s.cfg.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(r.Host)
		origin := r.Header.Get("Origin")
		switch {
		case !hosts[host]:
			s.problem(w, r, api.Errorf(api.Refused, r.Host, "this node does not answer to that host name").
				Try("ask for 127.0.0.1, [::1] or localhost, or add the name to api.hosts in config.toml"))
		case len(r.Header.Values("Origin")) > 1 || origin != "" && !strings.EqualFold(origin, "http://"+host):
			s.problem(w, r, api.Errorf(api.Refused, origin, "requests from another origin are not answered"))
		case cross.Check(r) != nil:
			s.problem(w, r, api.Errorf(api.Refused, "", "requests from another site are not answered"))
		case s.cfg.Token == "" || !tokenFits(r, want):
			if s.guess.tooMany(remoteIP(r), time.Now()) {
				s.problem(w, r, api.Errorf(api.TooMany, "", "too many wrong tokens").Try("wait a minute"))
				return
			}
			s.problem(w, r, api.Errorf(api.Unauthorized, "", "the call carries no valid token").
				Try("send the line of api.token in the home as `Authorization: Bearer`"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// tokenFits compares in constant time, whatever the length of what was sent.
func tokenFits(r *http.Request, want [32]byte) bool {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && ok && strings.EqualFold(scheme, "Bearer")
}

// hostsOf is the exact allow-list of a listener.
func hostsOf(addr *net.TCPAddr, more []string) map[string]bool {
	port := fmt.Sprint(addr.Port)
	m := map[string]bool{}
	for _, h := range []string{"127.0.0.1", "::1", "localhost"} {
		m[net.JoinHostPort(h, port)] = true
	}
	for _, h := range more {
		h = strings.ToLower(h)
		if _, _, err := net.SplitHostPort(h); err != nil {
			h = net.JoinHostPort(strings.Trim(h, "[]"), port)
		}
		m[h] = true
	}
	return m
}

func remoteIP(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// failures counts wrong tokens for each address, for a minute. A right token is
// never refused, so nobody can lock the owner out.
type failures struct {
	mu   sync.Mutex
	seen map[string]failure
}

type failure struct {
	n     int
	until time.Time
}

const (
	maxFailures  = 10
	maxAddresses = 1024 // loopback is 127.0.0.0/8: an attacker has many
)

// tooMany counts one more failure and says whether it is beyond the limit.
func (f *failures) tooMany(ip string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil || len(f.seen) >= maxAddresses {
		f.seen = map[string]failure{}
	}
	e := f.seen[ip]
	if now.After(e.until) {
		e = failure{until: now.Add(time.Minute)}
	}
	e.n++
	f.seen[ip] = e
	return e.n > maxFailures
}

package httpd

import (
	"bytes"
	"math"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
	"strings"

	"shoal/internal/door/api"
)

// metrics answers in the Prometheus text exposition format 0.0.4.
func (s *Server) metrics(c *call) (any, error) {
	list := append(doorMetrics(), s.node.Status.Metrics(c.r.Context())...)
	if s.node.Groups != nil {
		list = append(list, reachMetrics(s.node.Status.Status(c.r.Context()))...)
	}
	writeBytes(c.w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", AppendMetrics(nil, list))
	return nil, errAnswered
}

// doorMetrics are those that need no node.
func doorMetrics() []api.Metric {
	return []api.Metric{
		{Name: "shoal_build_info", Help: "Version of the program; the value is always 1.", Kind: api.Gauge,
			Samples: []api.Sample{{Labels: [][2]string{{"version", api.Version}, {"go", runtime.Version()}}, Value: 1}}},
	}
}

// AppendMetrics writes metrics as text: HELP and TYPE, then one line a sample.
func AppendMetrics(dst []byte, list []api.Metric) []byte {
	b := bytes.NewBuffer(dst)
	for _, m := range list {
		b.WriteString("# HELP " + m.Name + " " + metricHelp.Replace(m.Help) + "\n# TYPE " + m.Name + " " + string(m.Kind) + "\n")
		for _, s := range m.Samples {
			b.WriteString(m.Name)
			for i, l := range s.Labels {
				b.WriteByte("{,"[min(i, 1)])
				b.WriteString(l[0] + `="` + metricLabel.Replace(strings.ToValidUTF8(l[1], "\uFFFD")) + `"`)
			}
			if len(s.Labels) > 0 {
				b.WriteByte('}')
			}
			b.WriteString(" " + metricValue(s.Value) + "\n")
		}
	}
	return b.Bytes()
}

// What the format wants escaped in a help text and in the value of a label.
var (
	metricHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	metricLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func metricValue(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "+Inf"
	case math.IsInf(f, -1):
		return "-Inf"
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// pprofRoutes are the profiles of net/http/pprof, for a node whose configuration
// asks for them. They stand behind the same guard as every call.
func pprofRoutes() []route {
	serve := func(path, id, what string, h http.HandlerFunc) route {
		return route{method: "GET", path: path, id: id, summary: what, media: "application/octet-stream",
			handle: func(_ *Server, c *call) (any, error) { h(c.w, c.r); return nil, errAnswered }}
	}
	return []route{
		serve("/debug/pprof/", "pprofIndex", "List of profiles.", pprof.Index),
		serve("/debug/pprof/{profile}", "pprofNamed", "A profile: heap, goroutine, allocs, block, mutex.", func(w http.ResponseWriter, r *http.Request) {
			pprof.Handler(r.PathValue("profile")).ServeHTTP(w, r)
		}),
		serve("/debug/pprof/profile", "pprofCPU", "A CPU profile of ?seconds=N.", pprof.Profile),
		serve("/debug/pprof/trace", "pprofTrace", "An execution trace of ?seconds=N.", pprof.Trace),
	}
}

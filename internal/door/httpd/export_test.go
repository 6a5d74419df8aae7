package httpd

// RouteList is the table of routes, as "METHOD path", for the test of the
// document.
func RouteList() []string {
	var out []string
	for _, r := range routes() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}

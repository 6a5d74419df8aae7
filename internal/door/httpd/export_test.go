package httpd

// RouteList is the table of routes, as "METHOD path", for the test of the
// document: all that a node with these parts serves.
func RouteList(n Node) []string {
	var out []string
	for _, r := range append(routes(), groupRoutes(n)...) {
		out = append(out, r.method+" "+r.path)
	}
	return out
}

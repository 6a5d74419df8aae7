package web

import (
	"net/url"
	"testing"
)

// TestDialled: the host and port that a URL leads to, which is what a person typed.
func TestDialled(t *testing.T) {
	for text, want := range map[string]string{"http://a/": "a:80", "https://a/": "a:443", "http://[::1]:7/": "[::1]:7"} {
		u, err := url.Parse(text)
		if err != nil || dialled(u) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

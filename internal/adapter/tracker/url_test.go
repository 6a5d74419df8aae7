package tracker

import (
	"errors"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, test := range []struct {
		url, host string
		port      uint16 // 0: refused
	}{
		{"http://tracker.example/announce", "tracker.example", 80},
		{"https://tracker.example/announce", "tracker.example", 443},
		{"HTTP://Tracker.EXAMPLE:6969/announce?key=1#part", "tracker.example", 6969},
		{"udp://tracker.example:6969", "tracker.example", 6969},
		{"udp://tracker.example:6969/announce", "tracker.example", 6969},
		{"http://[2001:db8::1]:80/announce", "2001:db8::1", 80},
		{"http://1.2.3.4/announce", "1.2.3.4", 80},
		{"udp://tracker.example/announce", "", 0}, // BEP 15 knows no default port
		{"http://tracker.example:0/announce", "", 0},
		{"http://tracker.example:65536/announce", "", 0},
		{"ftp://tracker.example/announce", "", 0},
		{"file:///etc/passwd", "", 0},
		{"wss://tracker.example/announce", "", 0},
		{"tracker.example/announce", "", 0},
		{"http:///announce", "", 0},
		{"http:opaque", "", 0},
		{"", "", 0},
		{"http://xn--80ak6aa92e.example/announce", "", 0},
		{"http://a.XN--80ak6aa92e.example/announce", "", 0},
		{"http://тracker.example/announce", "", 0},
		{"http://tracker%20.example/announce", "", 0},
		{"http://tracker.example/\x00", "", 0},
		{"http://tracker.example/" + strings.Repeat("a", 2100), "", 0},
		{"http://" + strings.Repeat("a", 256) + "/", "", 0},
	} {
		got, err := parseURL(test.url)
		if (err == nil) != (test.port != 0) || err != nil && !errors.Is(err, ErrURL) || got.host != test.host || got.port != test.port {
			t.Errorf("%q: %s, %d, %v", test.url, got.host, got.port, err)
		}
		if err != nil && len(test.url) > 30 && strings.Contains(err.Error(), test.url) {
			t.Errorf("%q is repeated in its error", test.url)
		}
	}
}

// The table that clients have followed since scraping began.
func TestScrapeURL(t *testing.T) {
	for _, test := range []struct{ announce, scrape string }{
		{"http://example.com/announce", "http://example.com/scrape"},
		{"http://example.com/x/announce", "http://example.com/x/scrape"},
		{"http://example.com/announce.php", "http://example.com/scrape.php"},
		{"http://example.com/announce?x2%0644", "http://example.com/scrape?x2%0644"},
		{"http://example.com/announce?x=2/4", "http://example.com/scrape?x=2/4"},
		{"http://example.com/a%2fb/announce", "http://example.com/a%2fb/scrape"},
		{"http://example.com/announce/announce", "http://example.com/announce/scrape"},
		{"http://example.com/a", ""},
		{"http://example.com/", ""},
		{"http://example.com", ""},
		{"http://example.com/x%064announce", ""},
		{"http://example.com/announce/x", ""},
	} {
		u, err := parseURL(test.announce)
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.scrape()
		if test.scrape == "" {
			if !errors.Is(err, ErrNoScrape) {
				t.Errorf("%s: %v", test.announce, err)
			}
			continue
		}
		if err != nil || got.url.String() != test.scrape {
			t.Errorf("%s: %v, %v", test.announce, got.url, err)
		}
	}
}

package node

import (
	"flag"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shoal/internal/door/api"
)

var rewrite = flag.Bool("rewrite", false, "write docs/config.md from the source")

func TestDefaultFileIsTheDefaults(t *testing.T) {
	text := DefaultConfigText()
	c, err := ParseConfig([]byte(text))
	if err != nil || !reflect.DeepEqual(c, DefaultConfig()) {
		t.Fatalf("as printed: %+v %v", c, err)
	}
	bare := regexp.MustCompile(`(?m)^#([a-z_]+ = )`).ReplaceAllString(text, "$1")
	if strings.Count(bare, "\n#") == strings.Count(text, "\n#") {
		t.Fatal("no key was uncommented")
	}
	c, err = ParseConfig([]byte(bare))
	if err != nil || !reflect.DeepEqual(c, DefaultConfig()) {
		t.Errorf("with every key: %+v %v\n%s", c, err, bare)
	}
	for _, key := range ConfigKeys() {
		if _, name, _ := strings.Cut(key, "."); !strings.Contains(text, "#"+name+" = ") {
			t.Errorf("%s is not in the default file", key)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	eachKey(DefaultConfig(), func(section, key reflect.StructField, _ reflect.Value) {
		if len(key.Tag.Get("doc")) < 20 || len(section.Tag.Get("doc")) < 20 || key.Tag.Get("toml") == "" {
			t.Errorf("%s.%s says too little", section.Name, key.Name)
		}
	})
}

func TestConfigPage(t *testing.T) {
	const page = "../../docs/config.md"
	if *rewrite {
		if err := os.WriteFile(page, []byte(ConfigDoc()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(page)
	if err != nil || string(b) != ConfigDoc() {
		t.Errorf("docs/config.md is not what the source says (%v): go test ./internal/node -run ConfigPage -rewrite", err)
	}
}

func TestParseConfig(t *testing.T) {
	good := `
# a comment
[network]
scope = "lan"   # another
port = 0
bind = "eth0"
[api]
hosts = ["box.example", "box.example:8000"]
[limits]
up = "20MB"
down = "unlimited"
[disk]
reserve = "2GiB"
[log]
level = "debug"
[node]
name = "the attic"
`
	c, err := ParseConfig([]byte(good))
	if err != nil || c.Network.Scope != LAN || c.Network.Port != 0 || c.Limits.Up != 20_000_000 || c.Limits.Down != 0 ||
		c.Disk.Reserve != 2<<30 || len(c.API.Hosts) != 2 || c.Network.Connections != 200 || c.Log.Level.String() != "DEBUG" ||
		c.NodeName("host") != "the attic" || !c.Network.DHT || c.Network.Relay != 10_000_000_000 {
		t.Fatalf("%+v %v", c, err)
	}
	for _, tc := range []struct{ text, line, says string }{
		{"[network]\nscope = \"lan\"\nprot = 1\n", "3", `"network.prot" is unknown; did you mean "network.port"?`},
		{"[netwrk]\nport = 1\n", "1", `"netwrk" is unknown`},
		{"\n\nport = 1\n", "3", `"port" is unknown; did you mean "network.port"?`},
		{"network.prot = 1\n", "1", `"network.prot" is unknown`},
		{"[api]\nhosts = []\nx.y = 1\n", "3", `"api.x`},
		{"[limits]\nquite_another = 1\n", "2", "`shoal help config`"},
		{"[network]\nport = 70000\n", "2", "between 0 and 65535"},
		{"[network]\n\nport = \"7463\"\n", "3", `"network.port"`},
		{"[network]\nscope = \"mars\"\n", "2", "loopback, lan or internet"},
		{"[limits]\ndown = \"20Mb\"\n", "2", "bits or bytes"},
		{"[limits]\ndown = -1\n", "2", `"limits.down"`},
		{"[disk]\nreserve = \"much\"\n", "2", "not a size"},
		{"[disk]\nopen_files = 1\n", "2", "between 16 and 10000"},
		{"[api]\nhosts = [\"*\"]\n", "2", "no host name"},
		{"[node]\nname = \" attic\"\n", "2", "64 bytes"},
		{"[network]\nbootstrap = [\"192.0.2.1:6881\", \"box\"]\n", "2", "host:port"},
		{"[network]\nexternal = [\"box.example:7463\"]\n", "2", "IP or IP:PORT"},
		{"[network]\nexternal = [\"127.0.0.1\"]\n", "2", "from outside"},
		{"[network]\nrelay = \"much\"\n", "2", "not a size"},
		{"[network]\ndht = \"yes\"\n", "2", `"network.dht"`},
		{"[log]\nlevel = \"loud\"\n", "2", `"log.level"`},
		{"[network]\nport = 1\nport = 2\n", "3", "port"},
		{"[network\n", "2", "expected"},
		{"nonsense", "1", ""},
		{"x = \"\xff\"", "1", ""},
	} {
		_, err := ParseConfig([]byte(tc.text))
		e := api.AsError(err)
		if e == nil || e.Kind != api.Invalid || e.Subject != tc.line || !strings.Contains(e.Error(), tc.says) || strings.Contains(e.Error(), "\n") {
			t.Errorf("%q: %v; want line %s and %q", tc.text, err, tc.line, tc.says)
		}
	}
}

func TestReserve(t *testing.T) {
	for _, tc := range []struct {
		r           ReserveText
		total, want int64
	}{{ReserveAuto, 10 << 30, 1 << 30}, {ReserveAuto, 100 << 30, 5 << 30}, {0, 100 << 30, 0}, {7, 1, 7}} {
		if got := tc.r.Bytes(tc.total); got != tc.want {
			t.Errorf("%d of %d: %d, want %d", tc.r, tc.total, got, tc.want)
		}
	}
}

func TestNodeName(t *testing.T) {
	for host, want := range map[string]string{"attic": "attic", "": "node", "attic.home.example": "attic", " \x1b ": "node",
		strings.Repeat("ä", 40): strings.Repeat("ä", 32), strings.Repeat("x", 63) + "ä": strings.Repeat("x", 63)} {
		if got := DefaultConfig().NodeName(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

func TestExternalAddrs(t *testing.T) {
	c, err := ParseConfig([]byte("[network]\nport = 1000\nexternal = [\"203.0.113.7\", \"[2001:db8::7]:5\", \"2001:db8::8\", \"10.0.0.1:7\"]\n"))
	want := []netip.AddrPort{netip.MustParseAddrPort("203.0.113.7:1000"), netip.MustParseAddrPort("[2001:db8::7]:5"),
		netip.MustParseAddrPort("[2001:db8::8]:1000"), netip.MustParseAddrPort("10.0.0.1:7")}
	if got := c.Network.ExternalAddrs(1000); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %v", got, err)
	}
}

func TestSizeText(t *testing.T) {
	for text, want := range map[string]SizeText{"10G": 10e9, "0": 0, "1500M": 1.5e9, "1Ki": 1024, "1024": 1024} {
		var s SizeText
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d %v", text, s, err)
		}
		again, _ := s.MarshalText()
		if err := s.UnmarshalText(again); err != nil || s != want {
			t.Errorf("%d is written %q", want, again)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(DefaultConfigText()))
	f.Add([]byte("[network]\nport = 1\n[[x]]\ny = {a = 1}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := ParseConfig(text); err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("an error of several lines, or with escapes: %q", err)
		}
	})
}

package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"shoal/internal/door/api"
)

// Config is config.toml. Each field's comment in the file, with its unit and
// limits, is its doc tag; docs/config.md is made from the same tags. What a flag
// sets wins over the file.
type Config struct {
	Node    NodeConfig    `toml:"node" doc:"What others see of this node."`
	Network NetworkConfig `toml:"network" doc:"How far the node reaches and on what."`
	API     APIConfig     `toml:"api" doc:"The door for browsers and programs; only up and demo open it."`
	Limits  LimitsConfig  `toml:"limits" doc:"Bandwidth of the whole node. K, M, G are powers of 1000; Ki, Mi, Gi of 1024.\nWhat shoal limit sets is remembered and wins over this."`
	Disk    DiskConfig    `toml:"disk" doc:"Where data is written."`
	Log     LogConfig     `toml:"log" doc:"What the node writes to standard error."`
}

// NodeConfig is the section [node].
type NodeConfig struct {
	Name string `toml:"name" doc:"What this node is called in groups that it founds or joins from now on, at most 64 bytes; empty: the name of this machine."`
}

// NetworkConfig is the section [network].
type NetworkConfig struct {
	Scope               Scope  `toml:"scope" doc:"loopback: this machine only; lan: private networks too; internet: everyone."`
	Bind                string `toml:"bind" doc:"Interface or address to listen on and dial from; empty: all. Nothing is used instead of one that is missing."`
	Port                int    `toml:"port" doc:"TCP and UDP port for other nodes and BitTorrent clients, 0 to 65535; 0: any free one. Below 1024 it is dialled only by who has a ticket, was given the address, or is on the local network."`
	Connections         int    `toml:"connections" doc:"Most connections to peers in all, 1 to 10000."`
	ConnectionsPerShare int    `toml:"connections_per_share" doc:"Most connections to peers of one share, 1 to 10000; one to an address, except in scope loopback."`
	HalfOpen            int    `toml:"half_open" doc:"Most connections being opened at a time, 1 to 1000."`
	UploadSlots         int    `toml:"upload_slots" doc:"Peers of one share that are sent data at a time, 1 to 1000."`

	DHT       bool     `toml:"dht" doc:"Find peers of public shares in the public DHT (Mainline), and help others to. Shares for groups are never named there."`
	Bootstrap []string `toml:"bootstrap" doc:"Where the DHT is entered when no node of an earlier run answers, as host:port (at most 32); outside scope internet only addresses within the scope count, no names."`
	LAN       bool     `toml:"lan" doc:"Find nodes and peers on the local network, and be found there (multicast); never in scope loopback."`
	MapPort   bool     `toml:"map_port" doc:"Ask the router to pass the port on to this node (UPnP, NAT-PMP); scope internet only."`
	External  []string `toml:"external" doc:"Addresses at which you know this node to be reached from outside, as IP or IP:PORT (at most 8), such as those of a port that you mapped yourself."`
	Relay     SizeText `toml:"relay" doc:"Bytes a day that members of its groups may send through this node to each other, such as \"10G\"; \"0\": none. Of strangers only those who come with a ticket of a member, for the join alone: a sixteenth of it in all."`
}

// APIConfig is the section [api].
type APIConfig struct {
	Port  int      `toml:"port" doc:"TCP port on 127.0.0.1 and [::1], 0 to 65535; 0: any free one."`
	Hosts []string `toml:"hosts" doc:"Further names by which this machine may be asked for, as host or host:port (at most 16)."`
	Pprof bool     `toml:"pprof" doc:"Serve profiles at /debug/pprof, behind the token."`
}

// LimitsConfig is the section [limits].
type LimitsConfig struct {
	Up   RateText `toml:"up" doc:"Bytes a second sent, such as \"500K\", \"20MB\", \"1.5MiB/s\"; \"unlimited\": no limit."`
	Down RateText `toml:"down" doc:"Bytes a second received; \"unlimited\": no limit."`
}

// DiskConfig is the section [disk].
type DiskConfig struct {
	Reserve   ReserveText `toml:"reserve" doc:"Space that is always left free where data is written, such as \"2GB\"; \"auto\": the larger of 1 GiB and 5 %; \"0\": none."`
	OpenFiles int         `toml:"open_files" doc:"Most files of shares kept open at a time, 16 to 10000."`
}

// LogConfig is the section [log].
type LogConfig struct {
	Level slog.Level `toml:"level" doc:"debug, info, warn or error. Addresses of peers are named at debug only."`
}

// RateText is an api.Rate that is written as text in the file.
type RateText api.Rate

// UnmarshalText reads a rate as api.ParseRate does.
func (r *RateText) UnmarshalText(b []byte) error { return (*api.Rate)(r).Set(string(b)) }

// MarshalText writes what UnmarshalText reads.
func (r RateText) MarshalText() ([]byte, error) { return []byte(api.Rate(r).String()), nil }

// ReserveText is the size of the reserve in bytes, or ReserveAuto.
type ReserveText int64

// ReserveAuto stands for the larger of 1 GiB and 5 % of the disk.
const ReserveAuto ReserveText = -1

// UnmarshalText reads "auto" or a size.
func (r *ReserveText) UnmarshalText(b []byte) error {
	if string(b) == "auto" {
		*r = ReserveAuto
		return nil
	}
	n, err := api.ParseSize(string(b))
	*r = ReserveText(n)
	return err
}

// MarshalText writes what UnmarshalText reads.
func (r ReserveText) MarshalText() ([]byte, error) {
	if r == ReserveAuto {
		return []byte("auto"), nil
	}
	return fmt.Appendf(nil, "%d", int64(r)), nil
}

// Bytes is the reserve on a disk of that total size.
func (r ReserveText) Bytes(total int64) int64 {
	if r == ReserveAuto {
		return max(1<<30, total/20)
	}
	return int64(r)
}

// DefaultConfig is what holds where the file says nothing.
func DefaultConfig() Config {
	return Config{
		Network: NetworkConfig{Scope: Internet, Port: 7463, Connections: 200, ConnectionsPerShare: 80, HalfOpen: 24, UploadSlots: 8,
			DHT: true, LAN: true, MapPort: true, External: []string{}, Relay: 10e9,
			Bootstrap: []string{"router.bittorrent.com:6881", "dht.transmissionbt.com:6881", "dht.libtorrent.org:25401"}},
		API:  APIConfig{Port: 7462, Hosts: []string{}},
		Disk: DiskConfig{Reserve: ReserveAuto, OpenFiles: 256},
	}
}

// LoadConfig reads config.toml of the home; a missing file is the defaults. A
// key that is not known, or a value that makes no sense, is an error that names
// the file, the line and the key.
func (h *Home) LoadConfig() (Config, error) {
	path := h.Path(ConfigFile)
	text, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return DefaultConfig(), nil
	}
	if err != nil {
		return Config{}, api.Errorf(api.Path, path, "the configuration cannot be read: %w", unwrapPath(err))
	}
	c, err := ParseConfig(text)
	if err != nil {
		e := api.AsError(err)
		e.Subject = strings.TrimSuffix(path+":"+e.Subject, ":")
		return Config{}, e
	}
	return c, nil
}

// ParseConfig reads the text of a configuration. The subject of its errors is
// the line.
func ParseConfig(text []byte) (Config, error) {
	c := DefaultConfig()
	md, err := toml.NewDecoder(bytes.NewReader(text)).Decode(&c)
	if err != nil {
		return Config{}, configError(err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		key := unknown[0].String()
		e := api.Errorf(api.Invalid, lineOf(text, unknown[0]), "the key %q is unknown", key)
		if near := nearest(key, ConfigKeys()); near != "" {
			return Config{}, e.Try("did you mean %q?", near)
		}
		return Config{}, e.Try("`shoal help config` lists all keys")
	}
	if key, why := c.invalid(); key != "" {
		return Config{}, api.Errorf(api.Invalid, lineOf(text, strings.Split(key, ".")), "the value of %q makes no sense: %s", key, why).Try("`shoal help config` lists all keys")
	}
	return c, nil
}

// wrongType is how the decoder tells of a value of another type than the key's.
var wrongType = regexp.MustCompile(`^toml: line (\d+) \(last key "([^"]*)"\): (.*)$`)

// configError says in which line the file is no TOML, or a value of the wrong type.
func configError(err error) error {
	line, reason := "", strings.TrimPrefix(err.Error(), "toml: ")
	var pe toml.ParseError
	var value *api.Error
	if m := wrongType.FindStringSubmatch(err.Error()); m != nil {
		line, reason = m[1], fmt.Sprintf("the value of %q makes no sense: %s", m[2], m[3])
	}
	if errors.As(err, &pe) {
		line = fmt.Sprint(max(pe.Position.Line, 1))
		if pe.LastKey != "" {
			reason = fmt.Sprintf("the value of %q makes no sense: %s", pe.LastKey, pe.Message)
		} else {
			reason = pe.Message
		}
		if errors.As(err, &value) {
			reason = fmt.Sprintf("the value of %q makes no sense: %s", pe.LastKey, value.Error())
		}
	}
	return api.Errorf(api.Invalid, line, "%s", reason).Try("`shoal help config` lists all keys")
}

// invalid names the first key whose value is out of its limits, and says why.
func (c *Config) invalid() (key, why string) {
	n := &c.Network
	for _, l := range []struct {
		key          string
		v, low, most int
	}{
		{"network.port", n.Port, 0, 65535},
		{"network.connections", n.Connections, 1, 10000},
		{"network.connections_per_share", n.ConnectionsPerShare, 1, 10000},
		{"network.half_open", n.HalfOpen, 1, 1000},
		{"network.upload_slots", n.UploadSlots, 1, 1000},
		{"api.port", c.API.Port, 0, 65535},
		{"disk.open_files", c.Disk.OpenFiles, 16, 10000},
	} {
		if l.v < l.low || l.v > l.most {
			return l.key, fmt.Sprintf("it must lie between %d and %d", l.low, l.most)
		}
	}
	if len(c.API.Hosts) > 16 {
		return "api.hosts", "there may be at most 16"
	}
	for _, h := range c.API.Hosts {
		if h == "" || strings.ContainsAny(h, "/ *@?#") {
			return "api.hosts", fmt.Sprintf("%q is no host name", api.Safe(h))
		}
	}
	return c.invalidNode()
}

// ConfigKeys lists every key, as section.key, in the order of the file.
func ConfigKeys() []string {
	var out []string
	eachKey(DefaultConfig(), func(section, key reflect.StructField, _ reflect.Value) {
		out = append(out, section.Tag.Get("toml")+"."+key.Tag.Get("toml"))
	})
	return out
}

// eachKey visits every key of a configuration.
func eachKey(c Config, visit func(section, key reflect.StructField, value reflect.Value)) {
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		for j := range v.Field(i).NumField() {
			visit(v.Type().Field(i), v.Field(i).Type().Field(j), v.Field(i).Field(j))
		}
	}
}

// lineOf finds the line on which a key stands, as text; the first line if the
// key is written in a way that this does not follow.
func lineOf(text []byte, key []string) string {
	var section []string
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			name = strings.Trim(name, "[")
			name, _, _ = strings.Cut(name, "]")
			if section = splitKey(name); slices.Equal(section, key) {
				return fmt.Sprint(i + 1)
			}
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if ok && slices.Equal(append(slices.Clone(section), splitKey(name)...), key) {
			return fmt.Sprint(i + 1)
		}
	}
	return "1"
}

// splitKey cuts a.b."c" into its parts.
func splitKey(s string) []string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return parts
}

// nearest is the known key that differs from key by at most two letters, or that
// has the same name in another section.
func nearest(key string, known []string) string {
	best, limit := "", 3
	for _, k := range known {
		if d := distance(key, k); d < limit {
			best, limit = k, d
		}
	}
	if best != "" {
		return best
	}
	for _, k := range known {
		if k[strings.LastIndex(k, ".")+1:] == key[strings.LastIndex(key, ".")+1:] {
			return k
		}
	}
	return ""
}

// distance is the number of letters to change, add or drop (Levenshtein). Keys
// are short; longer ones than 64 letters are not compared.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

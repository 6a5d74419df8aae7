package wire

import (
	"strconv"
	"strings"
)

// PeerIDPrefix begins the peer id of this program: code SL, version 0.1.0.0
// (docs/decisions/0001-peer-id.md); twelve random bytes follow.
const PeerIDPrefix = "-SL0100-"

// maxClientName bounds the names that ClientName and ExtHandshake.Client give,
// in bytes.
const maxClientName = 40

// versionStyle says how the four characters after a client's code are read.
type versionStyle uint8

const (
	dotted       versionStyle = iota // 4520 is 4.5.2, 5731 is 5.7.3.1
	threeDigits                      // 355W is 3.5.5: the fourth is a mark of the build
	twoTwo                           // 0205 is 2.05
	twoTwoPlain                      // 0203 is 2.3
	transmission                     // 3000 is 3.00, 4060 is 4.0.6
	noVersion
)

type knownClient struct {
	name  string
	style versionStyle
}

// clients are the Azureus-style codes (BEP 20) that are met today, or were in
// the past by many.
var clients = map[string]knownClient{
	"7T": {"aTorrent", dotted},
	"AG": {"Ares", dotted},
	"A~": {"Ares", dotted},
	"AX": {"BitPump", twoTwo},
	"AZ": {"Vuze", dotted},
	"BC": {"BitComet", twoTwo},
	"BF": {"Bitflu", noVersion},
	"BI": {"BiglyBT", dotted},
	"BN": {"Baidu Netdisk", noVersion},
	"BT": {"BitTorrent", threeDigits},
	"CD": {"Enhanced CTorrent", twoTwo},
	"CT": {"CTorrent", dotted},
	"DE": {"Deluge", threeDigits},
	"ES": {"Electric Sheep", threeDigits},
	"FD": {"Free Download Manager", threeDigits},
	"FG": {"FlashGet", twoTwo},
	"FL": {"Folx", noVersion},
	"FW": {"FrostWire", threeDigits},
	"FX": {"Freebox BitTorrent", dotted},
	"GT": {"anacrolix/torrent", dotted},
	"HL": {"Halite", threeDigits},
	"KG": {"KGet", dotted},
	"KT": {"KTorrent", threeDigits},
	"LC": {"LeechCraft", dotted},
	"LP": {"Lphant", twoTwo},
	"LR": {"LibreTorrent", dotted},
	"LT": {"libtorrent", dotted},
	"LW": {"LimeWire", noVersion},
	"MG": {"MediaGet", dotted},
	"MO": {"MonoTorrent", dotted},
	"MR": {"Miro", dotted},
	"OS": {"OneSwarm", dotted},
	"PI": {"PicoTorrent", dotted},
	"QD": {"QQDownload", dotted},
	"SD": {"Xunlei", dotted},
	"SL": {"shoal", dotted},
	"SP": {"BitSpirit", threeDigits},
	"ST": {"SymTorrent", dotted},
	"SZ": {"Shareaza", dotted},
	"TL": {"Tribler", dotted},
	"TR": {"Transmission", transmission},
	"TT": {"TuoTu", threeDigits},
	"UE": {"uTorrent Embedded", threeDigits},
	"UM": {"uTorrent Mac", threeDigits},
	"UT": {"uTorrent", threeDigits},
	"UW": {"uTorrent Web", threeDigits},
	"VG": {"Vagaa", dotted},
	"WD": {"WebTorrent Desktop", twoTwoPlain},
	"WT": {"BitLet", dotted},
	"WW": {"WebTorrent", twoTwoPlain},
	"XF": {"Xfplay", threeDigits},
	"XL": {"Xunlei", dotted},
	"ZO": {"Zona", dotted},
	"lt": {"libTorrent (rTorrent)", dotted},
	"qB": {"qBittorrent", dotted},
	"rQ": {"rqbit", dotted},
	"st": {"sharktorrent", dotted},
}

// ClientName is the name and version that a peer id claims, such as
// "Transmission 3.00" (BEP 20). It is always printable ASCII of at most 40 bytes,
// and "unknown" where the id says nothing known. A claim is all it is.
func ClientName(id PeerID) string {
	if id[0] == '-' {
		return azureusName(id)
	}
	if string(id[:3]) == "A2-" {
		return dashedName("aria2", id[3:])
	}
	if string(id[:3]) == "TIX" && digits(id[3:7]) {
		return "Tixati " + number(id[3:5]) + "." + string(id[5:7])
	}
	if (id[0] == 'M' || id[0] == 'Q') && id[2] == '-' || id[0] == 'M' && id[3] == '-' {
		name := "BitTorrent"
		if id[0] == 'Q' {
			name = "Queen Bee"
		}
		return dashedName(name, id[1:9])
	}
	if string(id[:4]) == "exbc" && id[4] < 100 && id[5] < 100 {
		return "BitComet " + strconv.Itoa(int(id[4])) + "." + twoDigits(int(id[5]))
	}
	return "unknown"
}

// azureusName reads "-XXvvvv-".
func azureusName(id PeerID) string {
	code, version := string(id[1:3]), id[3:7]
	c, known := clients[code]
	if !known {
		if id[7] != '-' || !alphanumeric(id[1:3]) {
			return "unknown"
		}
		c = knownClient{"client " + code, dotted}
	}
	v := ""
	if alphanumeric(version) {
		v = versionText(c.style, version)
	}
	if v == "" {
		return c.name
	}
	return c.name + " " + v
}

// versionText reads four alphanumeric characters.
func versionText(style versionStyle, v []byte) string {
	join := func(parts ...byte) string {
		var text []string
		for _, p := range parts {
			text = append(text, strconv.Itoa(base36(p)))
		}
		return strings.Join(text, ".")
	}
	switch style {
	case noVersion:
		return ""
	case threeDigits:
		return join(v[0], v[1], v[2])
	case twoTwo, twoTwoPlain:
		if !digits(v) {
			return ""
		}
		if style == twoTwo {
			return number(v[:2]) + "." + string(v[2:])
		}
		return number(v[:2]) + "." + number(v[2:])
	case transmission:
		if v[0] < '4' {
			return string(v[0]) + "." + string(v[1:3])
		}
		return join(v[0], v[1], v[2])
	default:
		if v[3] == '0' {
			return join(v[0], v[1], v[2])
		}
		return join(v[0], v[1], v[2], v[3])
	}
}

// dashedName reads numbers with dashes between them, as in "1-36-0-": at most
// four, the first that is none ends them.
func dashedName(name string, b []byte) string {
	var parts []string
	for len(parts) < 4 {
		n := 0
		for n < len(b) && n < 3 && digits(b[n:n+1]) {
			n++
		}
		if n == 0 || n == len(b) || b[n] != '-' {
			break
		}
		parts = append(parts, string(b[:n]))
		b = b[n+1:]
	}
	if len(parts) == 0 {
		return name
	}
	return name + " " + strings.Join(parts, ".")
}

// printableASCII is s with what is not printable ASCII replaced, runs of spaces
// made one, and cut to limit bytes. The micro sign, which µTorrent puts before
// its name, becomes a u.
func printableASCII(s string, limit int) string {
	var b strings.Builder
	space := true // none at the start
	for _, r := range s {
		if b.Len() >= limit {
			break
		}
		switch {
		case r == 'µ' || r == 'μ':
			r = 'u'
		case r < ' ' || r == 0x7f:
			r = ' '
		case r > 0x7f:
			r = '?'
		}
		if r == ' ' && space {
			continue
		}
		space = r == ' '
		b.WriteByte(byte(r))
	}
	return strings.TrimSuffix(b.String(), " ")
}

// base36 is the value of a version character: many clients go on with letters
// after 9.
func base36(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	default:
		return int(c-'a') + 10
	}
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func alphanumeric(b []byte) bool {
	for _, c := range b {
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return false
		}
	}
	return true
}

// number is digits without leading zeros.
func number(b []byte) string {
	s := strings.TrimLeft(string(b), "0")
	if s == "" {
		return "0"
	}
	return s
}

func twoDigits(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }

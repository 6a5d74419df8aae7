package lan

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// The two hashes of the tests, as bytes and as an announce has them.
var (
	hashA = hash{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67}
	hashB = hash{0xff, 19: 0x0a}
)

const (
	hexA = "0123456789abcdef0123456789abcdef01234567"
	hexB = "ff0000000000000000000000000000000000000a"
)

func TestBEP14_Golden(t *testing.T) {
	for _, c := range []struct {
		name string
		m    lsdMessage
		want string
	}{
		{"v4", lsdMessage{v4, 7463, "5eed", []hash{hashA}},
			"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 7463\r\nInfohash: " + hexA + "\r\ncookie: 5eed\r\n\r\n\r\n"},
		{"v6, two hashes, no cookie", lsdMessage{v6, 1, "", []hash{hashA, hashB}},
			"BT-SEARCH * HTTP/1.1\r\nHost: [ff15::efc0:988f]:6771\r\nPort: 1\r\nInfohash: " + hexA + "\r\nInfohash: " + hexB + "\r\n\r\n\r\n"},
	} {
		got := appendLSD(nil, c.m)
		if string(got) != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
		m, err := parseLSD(got)
		if err != nil || !reflect.DeepEqual(m, c.m) {
			t.Errorf("%s: read back as %+v, %v", c.name, m, err)
		}
		for n := range got {
			if _, err := parseLSD(got[:n]); (err == nil) != (n == len(got)-2) { // one empty line will do
				t.Errorf("%s: cut to %d of %d bytes: %v", c.name, n, len(got), err)
			}
		}
	}
}

// A full announce stays within what BEP 14 allows.
func TestBEP14_Length(t *testing.T) {
	m := lsdMessage{Family: v4, Port: 65535, Cookie: "ffffffffffffffff"}
	for i := range perLSD {
		m.Hashes = append(m.Hashes, hash{byte(i), 1})
	}
	for _, f := range []family{v4, v6} {
		m.Family = f
		b := appendLSD(nil, m)
		if got, err := parseLSD(b); err != nil || len(b) > maxLSD || len(got.Hashes) != perLSD {
			t.Errorf("%d bytes, %d hashes, %v", len(b), len(got.Hashes), err)
		}
	}
}

func TestBEP14_WhatOthersSend(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       lsdMessage
	}{
		{"libtorrent", "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: " + hexA + "\r\ncookie: 1f2e3d4c\r\n\r\n\r\n",
			lsdMessage{v4, 6881, "1f2e3d4c", []hash{hashA}}},
		{"transmission 3", "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 51413\r\nInfohash: " + strings.ToUpper(hexA) + "\r\n\r\n\r\n",
			lsdMessage{v4, 51413, "", []hash{hashA}}},
		{"unknown headers, either case, no blanks", "BT-SEARCH * HTTP/1.1\r\nHOST:[FF15::EFC0:988F]:6771\r\nname: x y\r\nport:9 \r\nINFOHASH:\t" + hexA + "\r\nInfohash: " + hexA + "\r\n\r\n",
			lsdMessage{v6, 9, "", []hash{hashA}}},
	} {
		if m, err := parseLSD([]byte(c.text)); err != nil || !reflect.DeepEqual(m, c.want) {
			t.Errorf("%s: %+v, %v", c.name, m, err)
		}
	}
}

func TestBEP14_Refused(t *testing.T) {
	const start, host, port, ih = "BT-SEARCH * HTTP/1.1\r\n", "Host: 239.192.152.143:6771\r\n", "Port: 80\r\n", "Infohash: " + hexA + "\r\n"
	good := start + host + port + ih + "\r\n\r\n"
	if _, err := parseLSD([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":            "",
		"another method":   strings.Replace(good, "BT-SEARCH", "M-SEARCH", 1),
		"another version":  strings.Replace(good, "1.1", "1.0", 1),
		"bare line feeds":  strings.ReplaceAll(good, "\r\n", "\n"),
		"more after it":    good + "x",
		"two blank lines":  good + "\r\n",
		"no host":          start + port + ih + "\r\n\r\n",
		"another group":    strings.Replace(good, "239.192.152.143", "239.192.152.144", 1),
		"two hosts":        start + host + host + port + ih + "\r\n\r\n",
		"no port":          start + host + ih + "\r\n\r\n",
		"port 0":           strings.Replace(good, "80", "0", 1),
		"port 65536":       strings.Replace(good, "80", "65536", 1),
		"port with a sign": strings.Replace(good, "80", "+80", 1),
		"long port":        strings.Replace(good, "80", "000080", 1),
		"two ports":        start + host + port + port + ih + "\r\n\r\n",
		"no hash":          start + host + port + "\r\n\r\n",
		"short hash":       strings.Replace(good, hexA, hexA[1:], 1),
		"hash of zeros":    strings.Replace(good, hexA, strings.Repeat("0", 40), 1),
		"hash not in hex":  strings.Replace(good, hexA, strings.Repeat("g", 40), 1),
		"no colon":         start + host + port + ih + "x\r\n\r\n\r\n",
		"no name":          start + host + port + ih + ": x\r\n\r\n\r\n",
		"control byte":     start + host + port + ih + "x: \x1b[2J\r\n\r\n\r\n",
		"not ASCII":        start + host + port + ih + "x: \xff\r\n\r\n\r\n",
		"lone CR":          start + host + port + ih + "x: \r y\r\n\r\n\r\n",
		"two cookies":      start + host + port + ih + "cookie: a\r\ncookie: a\r\n\r\n\r\n",
		"many lines":       start + host + port + ih + strings.Repeat("x:\r\n", maxLines) + "\r\n\r\n",
		"long":             start + host + port + ih + "x: " + strings.Repeat("y", maxLSD) + "\r\n\r\n\r\n",
	} {
		if m, err := parseLSD([]byte(text)); err == nil {
			t.Errorf("%s: taken as %+v", name, m)
		}
	}
}

func FuzzLSD(f *testing.F) {
	f.Add(appendLSD(nil, lsdMessage{v4, 7463, "5eed", []hash{hashA}}))
	f.Add(appendLSD(nil, lsdMessage{v6, 65535, "", []hash{hashA, hashB}}))
	f.Add([]byte("BT-SEARCH * HTTP/1.1\r\nHost:239.192.152.143:6771\r\nx:\r\nport:09\r\ninfohash:" + hexA + "\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseLSD(b)
		if err != nil {
			return
		}
		again := appendLSD(nil, m)
		n, err := parseLSD(again)
		if err != nil || !reflect.DeepEqual(m, n) || !bytes.Equal(again, appendLSD(nil, n)) {
			t.Errorf("%q is read as %+v, and that, as %q, as %+v (%v)", b, m, again, n, err)
		}
	})
}

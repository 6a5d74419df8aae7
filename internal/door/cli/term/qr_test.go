package term

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestQR compares a drawing with one that a reader of others (ZXing) has read.
func TestQR(t *testing.T) {
	want, err := os.ReadFile("testdata/qr.txt")
	if err != nil {
		t.Fatal(err)
	}
	plain := qrLines("SHOAL:JOIN/AEDQ", false)
	var got strings.Builder
	for _, l := range plain {
		got.WriteString(l + "|\n")
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s", got.String())
	}
	// In colour it is the same, dark where the other is not drawn.
	invert := strings.NewReplacer(" ", "█", "█", " ", "▀", "▄", "▄", "▀")
	for i, l := range qrLines("SHOAL:JOIN/AEDQ", true) {
		l = strings.TrimSuffix(strings.TrimPrefix(l, "\x1b[38;5;16;48;5;231m"), "\x1b[0m")
		if l = invert.Replace(l); i == len(plain)-1 {
			l = strings.ReplaceAll(l, "█", "▀") // the lower half lies outside
		}
		if l != plain[i] {
			t.Errorf("line %d in colour: %q, want %q", i, l, plain[i])
		}
	}
	if qrLines("lower case", true) != nil || qrLines(strings.Repeat("A", 5000), true) != nil {
		t.Error("it draws what is not dense, or does not fit")
	}
	// The longest ticket fits a terminal of ordinary width.
	if lines := qrLines("SHOAL:JOIN/"+strings.Repeat("A", 300), false); len(lines) > 40 {
		t.Errorf("300 characters take %d lines", len(lines))
	}
}

// TestQRFits: a code that a line of the terminal has no room for is not drawn.
func TestQRFits(t *testing.T) {
	for columns, want := range map[int]string{28: "(a terminal of 29 columns would show a QR code, too)\n", 29: strings.Join(qrLines("SHOAL:JOIN/AEDQ", false), "\n") + "\n"} {
		var b bytes.Buffer
		s := &Screen{w: &b, Terminal: true, size: func() (int, int) { return columns, 24 }}
		s.QR("SHOAL:JOIN/AEDQ")
		s.QR("lower case")
		s.Terminal = false
		s.QR("SHOAL:JOIN/AEDQ")
		if b.String() != want {
			t.Errorf("%d columns:\n%s", columns, b.String())
		}
	}
}

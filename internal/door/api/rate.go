package api

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rate is a bandwidth in bytes a second; 0 is no limit.
type Rate int64

// MaxRate is the most a limit may be: far from overflow when it is multiplied by a burst.
const MaxRate Rate = 1e15

// unit is one suffix a size may carry, in lower case without the B.
type unit struct {
	suffix string
	factor int64
}

// units: K is 1,000 and Ki is 1,024, as SI and IEC have it.
var units = []unit{
	{"ki", 1 << 10}, {"mi", 1 << 20}, {"gi", 1 << 30}, {"ti", 1 << 40}, {"pi", 1 << 50},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12}, {"p", 1e15},
}

// ParseRate reads a bandwidth: 500K, 20MB, 1.5MiB/s, 80Mbit/s, 0 or unlimited.
// K, M, G are powers of 1,000 and Ki, Mi, Gi of 1,024; a lone number is bytes.
func ParseRate(s string) (Rate, error) {
	t := strings.TrimSpace(s)
	switch strings.ToLower(t) {
	case "unlimited", "none", "off":
		return 0, nil
	}
	for _, per := range []string{"/s", "ps", "/sec"} {
		if strings.HasSuffix(strings.ToLower(t), per) {
			t = t[:len(t)-len(per)]
			break
		}
	}
	divisor := int64(1)
	if low := strings.ToLower(t); strings.HasSuffix(low, "bit") {
		t, divisor = t[:len(t)-len("bit")], 8
	}
	n, err := parseAmount(t, int64(MaxRate))
	if err != nil {
		return 0, Errorf(Invalid, s, "this is not a rate: %w", err).Try("write it like 500K, 20MB, 1.5MiB/s, 80Mbit/s or 0 for no limit")
	}
	if n > 0 && n/divisor == 0 {
		return 0, Errorf(Invalid, s, "this rate is below one byte a second").Try("write 0 for no limit")
	}
	return Rate(n / divisor), nil
}

// ParseSize reads an amount of bytes: 1048576, 256KiB, 1.5GB. K, M, G, T are
// powers of 1,000 and Ki, Mi, Gi, Ti of 1,024.
func ParseSize(s string) (int64, error) {
	n, err := parseAmount(strings.TrimSpace(s), 1<<60)
	if err != nil {
		return 0, Errorf(Invalid, s, "this is not a size: %w", err).Try("write it like 1048576, 256KiB or 1.5GB")
	}
	return n, nil
}

// ParsePieceSize reads the size of a piece. As only powers of two are allowed,
// 256K means 256 KiB here. BEP 52 wants at least 16 KiB; above 16 MiB other
// clients refuse.
func ParsePieceSize(s string) (int64, error) {
	t := strings.ToLower(strings.TrimSpace(s))
	if stem, ok := strings.CutSuffix(t, "b"); ok {
		t = stem
	}
	if strings.HasSuffix(t, "k") || strings.HasSuffix(t, "m") {
		t += "i"
	}
	n, err := parseAmount(t, 1<<40)
	if err != nil || n < 16<<10 || n > 16<<20 || n&(n-1) != 0 {
		return 0, Errorf(Invalid, s, "this is not a piece size").Try("give a power of two from 16K to 16M")
	}
	return n, nil
}

// parseAmount reads a decimal number with an optional unit. A lone lower-case b
// after a unit (Mb) is refused: some mean bits by it, others bytes.
func parseAmount(s string, most int64) (int64, error) {
	if s == "" {
		return 0, fmt.Errorf("it is empty")
	}
	number, suffix := s, ""
	if i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }); i >= 0 {
		number, suffix = s[:i], strings.TrimSpace(s[i:])
	}
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("it is negative")
	}
	factor, err := unitFactor(suffix)
	if err != nil {
		return 0, err
	}
	if len(number) > 24 || strings.Count(number, ".") > 1 || strings.Trim(number, ".") == "" {
		return 0, fmt.Errorf("%q is not a number", Safe(number))
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > most/factor {
			return 0, fmt.Errorf("it is too large")
		}
		return n * factor, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(f) || f*float64(factor) > float64(most) {
		return 0, fmt.Errorf("it is too large")
	}
	n := int64(math.Round(f * float64(factor)))
	if n == 0 && f > 0 {
		return 0, fmt.Errorf("it is below one byte")
	}
	return n, nil
}

func unitFactor(suffix string) (int64, error) {
	stem, isByte := strings.CutSuffix(suffix, "B")
	if !isByte {
		if cut, ok := strings.CutSuffix(suffix, "b"); ok && cut != "" && strings.ToLower(cut) != cut {
			return 0, fmt.Errorf("%q may mean bits or bytes: write %sB or %sbit", Safe(suffix), Safe(cut), Safe(cut))
		} else if ok {
			stem = cut
		}
	}
	if stem == "" {
		return 1, nil
	}
	for _, u := range units {
		if strings.ToLower(stem) == u.suffix {
			return u.factor, nil
		}
	}
	return 0, fmt.Errorf("the unit %q is unknown", Safe(suffix))
}

// String is the rate as ParseRate reads it back, rounded to three digits.
func (r Rate) String() string {
	if r == 0 {
		return "unlimited"
	}
	return FormatSize(int64(r)) + "/s"
}

// Set and Type make *Rate the value of a flag. (There is no UnmarshalText: in JSON
// a rate is a number.)
func (r *Rate) Set(s string) (err error) {
	*r, err = ParseRate(s)
	return err
}

// Type names the value in a command's usage.
func (r *Rate) Type() string { return "RATE" }

// FormatSize is an amount of bytes for people: 512 B, 1.25 MB, 18.4 GB (powers
// of 1,000, three digits).
func FormatSize(n int64) string {
	if n < 1000 && n > -1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n), -1
	for math.Abs(f) >= 999.5 && i < 4 {
		f /= 1000
		i++
	}
	digits := 2 - int(math.Log10(math.Abs(f)+1e-9))
	return strconv.FormatFloat(f, 'f', max(digits, 0), 64) + " " + [...]string{"kB", "MB", "GB", "TB", "PB"}[i]
}

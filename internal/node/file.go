package node

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/door/api"
)

// maxSmallFile bounds every file of the home that is read whole.
const maxSmallFile = 1 << 20

// readSmall reads a file of the home, up to 1 MiB.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSmallFile {
		return nil, fmt.Errorf("%s is larger than 1 MiB", path)
	}
	return b, nil
}

// shortHash names a home in 16 hex digits.
func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// tokenBytes is the length of the API's token: 256 bits.
const tokenBytes = 32

// Token reads the API's bearer token, in hex, and makes it at its first use
// (0600). A file that is open to others is closed; one that does not hold a
// token is an error, never replaced in silence.
func (h *Home) Token() (string, error) {
	path := h.Path(TokenFile)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		var raw [tokenBytes]byte
		if _, err := rand.Read(raw[:]); err != nil {
			return "", fmt.Errorf("node: random bytes: %w", err)
		}
		token := hex.EncodeToString(raw[:])
		if err := disk.Replace(path, []byte(token+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("node: token: %w", err)
		}
		return token, nil
	}
	if err != nil {
		return "", fmt.Errorf("node: token: %w", err)
	}
	if !isToken(b) {
		return "", api.Errorf(api.BadData, path, "it does not hold a token of 64 hex digits").Try("remove it to get a new one")
	}
	return strings.TrimSpace(string(b)), closeToOthers(path)
}

func isToken(b []byte) bool {
	raw, err := hex.DecodeString(strings.TrimSpace(string(b)))
	return err == nil && len(raw) == tokenBytes
}

// closeToOthers takes a file's permissions away from everyone but its owner.
func closeToOthers(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return os.Chmod(path, 0o600)
	}
	return nil
}

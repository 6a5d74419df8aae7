package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/ident"
	"shoal/internal/door/api"
)

// Key reads the identity of the node and makes it at its first use (0600). It is
// never replaced: a file that cannot be read as a key is an error.
func (h *Home) Key() (ident.Key, error) {
	path := h.Path(KeyFile)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		var seed [ident.SeedSize]byte
		if _, err := rand.Read(seed[:]); err != nil {
			return ident.Key{}, fmt.Errorf("node: new key: %w", err)
		}
		key := ident.NewKey(seed)
		if err := disk.Replace(path, key.File(), 0o600); err != nil {
			return ident.Key{}, fmt.Errorf("node: new key: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return ident.Key{}, fmt.Errorf("node: key: %w", err)
	}
	key, err := ident.ParseKey(b)
	if err != nil {
		return ident.Key{}, api.Errorf(api.BadData, path, "this is not a key of a node").Try("bring back the file from a copy; a node without it is another node")
	}
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return ident.Key{}, api.Errorf(api.Refused, path, "the key is open to others").Try("run chmod 600 on it, if nobody has read it")
	}
	return key, nil
}

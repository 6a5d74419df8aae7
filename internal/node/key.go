package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"runtime"

	"shoal/internal/door/api"
)

// keyHead begins node.key: the protobuf frame of an Ed25519 private key as
// libp2p writes it (type 1, 64 bytes of data: seed and public key).
var keyHead = []byte{0x08, 0x01, 0x12, 0x40}

// Key reads the identity of the node and makes it at its first use (0600). It is
// never replaced: a file that cannot be read as a key is an error.
func (h *Home) Key() (ed25519.PrivateKey, error) {
	path := h.Path(KeyFile)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("node: new key: %w", err)
		}
		if err := writeFile(path, append(keyHead[:4:4], key...), 0o600); err != nil {
			return nil, fmt.Errorf("node: new key: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("node: key: %w", err)
	}
	key, ok := parseKey(b)
	if !ok {
		return nil, api.Errorf(api.BadData, path, "this is not a key of a node").Try("bring back the file from a copy; a node without it is another node")
	}
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, api.Errorf(api.Refused, path, "the key is open to others").Try("run chmod 600 on it, if nobody has read it")
	}
	return key, nil
}

// parseKey reads node.key and checks that its public half belongs to the seed.
func parseKey(b []byte) (ed25519.PrivateKey, bool) {
	if len(b) != len(keyHead)+ed25519.PrivateKeySize || string(b[:4]) != string(keyHead) {
		return nil, false
	}
	key := ed25519.NewKeyFromSeed(b[4 : 4+ed25519.SeedSize])
	return key, string(key) == string(b[4:])
}

// NodeID is the name of the node with this public key: a libp2p peer id, which
// is base58 of the identity multihash of the key's protobuf frame.
func NodeID(pub ed25519.PublicKey) string {
	return base58(append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, pub...))
}

// base58 writes bytes in Bitcoin's alphabet; a leading zero byte is a 1.
func base58(b []byte) string {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	var out []byte
	n, mod, radix := new(big.Int).SetBytes(b), new(big.Int), big.NewInt(58)
	for n.Sign() > 0 {
		n.DivMod(n, radix, mod)
		out = append(out, alphabet[mod.Int64()])
	}
	for _, c := range b {
		if c != 0 {
			break
		}
		out = append(out, alphabet[0])
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

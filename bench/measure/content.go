package measure

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// chunk is how much is made and written at a time.
const chunk = 1 << 20

// noise is an endless stream of bytes that look random and depend on name alone.
func noise(name string) *rand.ChaCha8 {
	var seed [32]byte
	copy(seed[:], name)
	return rand.NewChaCha8(seed)
}

// WriteFile makes a file of size bytes that depend on seed alone. A file that is
// there with that size is kept: content is made once and used by many runs.
func WriteFile(path, seed string, size int64) error {
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Size() == size {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	part := path + ".making"
	f, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(noise(seed), size), make([]byte, chunk))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return fmt.Errorf("measure: %s: %w", path, err)
	}
	return nil
}

// WriteMany makes count files of size bytes in dir, named f0000.bin and on.
func WriteMany(dir string, count int, size int64) error {
	for i := range count {
		name := fmt.Sprintf("f%04d.bin", i)
		if err := WriteFile(filepath.Join(dir, name), name, size); err != nil {
			return err
		}
	}
	return nil
}

// OddNames are file names that programs get wrong, all of them legal on every system
// that shoal runs on except for characters that Windows alone refuses.
var OddNames = []string{
	"a b  c.txt", "ünïcødé ☃ 漢字.dat", ".hidden", "two.dots..bin", "#hash%percent&and=eq+plus", "it's quoted",
	"dash-first/-rf", "deep/a/b/c/d/e/f/g/h.bin", "case/README", "brackets[1](2){3}", "semi;colon,comma",
	"tilde~", "$dollar`tick", strings.Repeat("long", 50) + ".bin",
}

// WriteTree makes a small folder with odd names, sizes around the borders of blocks
// and pieces, and empty files; about 1.5 MiB.
func WriteTree(dir string) error {
	sizes := []int64{0, 1, 16383, 16384, 16385, 32768, 65535, 65536, 65537, 262144, 300000, 1, 0, 99999, 524289, 7}
	for i, name := range OddNames {
		if err := WriteFile(filepath.Join(dir, filepath.FromSlash(name)), name, sizes[i%len(sizes)]); err != nil {
			return err
		}
	}
	return WriteFile(filepath.Join(dir, "empty", "also empty"), "", 0)
}

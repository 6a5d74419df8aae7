package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Same compares two files or folders byte by byte: every file of want must be in got
// with the same content, and got must have no file more. Padding files (a folder
// called .pad) are left out.
func Same(want, got string) error { return same(want, got, false) }

// SameButEmpty is Same for programs that do not make files of no bytes.
func SameButEmpty(want, got string) error { return same(want, got, true) }

func same(want, got string, skipEmpty bool) error {
	st, err := os.Stat(want)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	if !st.IsDir() {
		return sameFile(want, got)
	}
	files, err := listFiles(want)
	if err != nil {
		return err
	}
	found, err := listFiles(got)
	if err != nil {
		return err
	}
	for rel := range files {
		if st, err := os.Stat(filepath.Join(want, rel)); skipEmpty && !found[rel] && err == nil && st.Size() == 0 {
			continue
		}
		if !found[rel] {
			return fmt.Errorf("measure: %s is missing in %s", rel, got)
		}
		if err := sameFile(filepath.Join(want, rel), filepath.Join(got, rel)); err != nil {
			return err
		}
	}
	for rel := range found {
		if !files[rel] {
			return fmt.Errorf("measure: %s is too much in %s", rel, got)
		}
	}
	return nil
}

// listFiles lists the regular files beneath dir by their paths in it.
func listFiles(dir string) (map[string]bool, error) {
	files := map[string]bool{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".pad" {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(dir, p)
		if err == nil && !d.IsDir() {
			files[rel] = true
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	return files, nil
}

// sameFile compares two files.
func sameFile(want, got string) error {
	a, err := os.Open(want)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	defer b.Close()
	bufA, bufB := make([]byte, chunk), make([]byte, chunk)
	for off := int64(0); ; off += chunk {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if n != m || !bytes.Equal(bufA[:n], bufB[:m]) {
			return fmt.Errorf("measure: %s differs from %s within 1 MiB of byte %d", got, want, off)
		}
		if errA != nil || errB != nil {
			return errors.Join(readError(errA), readError(errB))
		}
	}
}

// readError takes the end of the file for what it is.
func readError(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("measure: %w", err)
}

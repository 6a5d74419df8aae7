package groups

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/group"
)

// Files of the folder: a group's is its ID in hex, that of its contacts has bookEnd added,
// one that is being written begins with disk.Unfinished.
const (
	bookEnd = ".contacts"
	maxFile = 4 << 20 // bytes of a file that is read
)

// When what is not urgent is written.
const (
	saveFirst = time.Second      // the first address of a member: without it there is no way back
	saveLater = 30 * time.Second // contacts that changed
	saveRetry = 10 * time.Second // after a disk failed
)

func (s *Service) path(id group.ID) string { return filepath.Join(s.cfg.Dir, id.String()) }

// load reads the folder. What is left of a group that was being left is removed.
func (s *Service) load() error {
	s.seen.Store(&picture{})
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrKeep, err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(s.cfg.Dir, 0o700); err != nil {
			return fmt.Errorf("%w: %w", ErrKeep, err)
		}
	}
	names, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeep, err)
	}
	for _, e := range names {
		if strings.HasPrefix(e.Name(), disk.Unfinished) {
			os.Remove(filepath.Join(s.cfg.Dir, e.Name()))
			continue
		}
		id, err := group.ParseID(e.Name())
		if err != nil {
			continue
		}
		g, err := s.read(id)
		if err != nil {
			s.damaged = append(s.damaged, &Damage{Path: s.path(id), Why: err})
			continue
		}
		if g.Left(s.me) {
			s.erase(id)
			continue
		}
		if b := s.readBook(g); b != nil {
			s.books[id] = b
		}
		s.show(id, g)
	}
	return nil
}

// read reads and judges one group's file.
func (s *Service) read(id group.ID) (*group.Group, error) {
	if len(s.look().groups) >= MaxGroups {
		return nil, ErrMany
	}
	b, err := readFile(s.path(id))
	if err != nil {
		return nil, err
	}
	g, err := group.ParseFile(b)
	if err != nil {
		return nil, err
	}
	if g.ID() != id {
		return nil, errors.New("it holds another group")
	}
	return g, nil
}

// keep writes a group's file.
func (s *Service) keep(g *group.Group) error {
	if err := disk.Replace(s.path(g.ID()), g.File(), 0o600); err != nil {
		return fmt.Errorf("%w: %w", ErrKeep, err)
	}
	delete(s.unkept, g.ID())
	return nil
}

// erase removes a group's files.
func (s *Service) erase(id group.ID) error {
	err := os.Remove(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	os.Remove(s.path(id) + bookEnd) // hints alone: nothing reads them without the group
	delete(s.books, id)
	delete(s.unkept, id)
	return errors.Join(err, disk.SyncNames(s.cfg.Dir))
}

// saveSoon has what is not urgent written after a while.
func (s *Service) saveSoon(after time.Duration) {
	if at := time.Now().Add(after); s.saveAt.IsZero() || at.Before(s.saveAt) {
		s.saveAt = at
	}
}

// save writes what is not urgent: contacts, and what a failing disk did not take.
func (s *Service) save() {
	s.saveAt = time.Time{}
	for _, id := range s.look().sorted() {
		if s.unkept[id] {
			if err := s.keep(s.look().groups[id]); err != nil {
				s.saveSoon(saveRetry)
			}
		}
		if b := s.books[id]; b.dirty() {
			if err := disk.Replace(s.path(id)+bookEnd, b.file(), 0o600); err != nil {
				s.saveSoon(saveRetry)
				continue
			}
			b.changed = false
		}
	}
}

// readFile reads a file of bounded size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New("it is too large")
	}
	return b, err
}

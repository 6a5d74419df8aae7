package record

import (
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

// RowOf is the catalog's row of a new share.
func RowOf(spec Spec, hash metainfo.InfoHash) store.Row {
	row := store.Row{Dir: spec.Dir, Base: spec.Base, InPlace: spec.InPlace, Paused: spec.Paused,
		Added: time.Now(), Select: spec.Select, UpLimit: spec.Up, DownLimit: spec.Down, Sequential: spec.Sequential, Peers: spec.Peers}
	row.SetHash(hash)
	row.SetGroups(bytesOf(spec.Groups))
	if spec.Meta != nil {
		row.Describe(spec.Meta)
	} else {
		spec.Magnet.Groups = row.Audience()
		row.Name, row.Link = hash.ID(), spec.Magnet.String() // until the description tells
		if spec.Magnet.Name != "" {
			row.Name = metainfo.SafeName(spec.Magnet.Name)
		}
		row.Trackers = len(spec.Magnet.Trackers) > 0
	}
	return row
}

// Hashed makes the row of originals that were hashed just now that of a complete share, and is
// what to keep with it: a kill a moment later leaves them known. resume may be nil.
func Hashed(row *store.Row, resume *store.Resume) map[string]*store.Resume {
	if resume == nil {
		return nil
	}
	row.Complete, row.Completed = true, row.Added
	return map[string]*store.Resume{row.ID: resume}
}

// SpecOf is how a share of the catalog is run.
func SpecOf(row store.Row) Spec {
	spec := Spec{Dir: row.Dir, Base: row.Base, InPlace: row.InPlace, Select: row.Select, Sequential: row.Sequential, Peers: row.Peers, Groups: GroupsOf(row)}
	if row.Link != "" {
		if m, err := metainfo.ParseMagnet(row.Link); err == nil {
			spec.Magnet = m
		}
	}
	return spec
}

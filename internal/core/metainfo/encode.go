package metainfo

import (
	"bytes"
	"slices"

	"shoal/internal/core/bencode"
)

// Bytes returns the .torrent. For what Parse read they are the very same bytes (shared: they must not be changed);
// otherwise they are made of the info dictionary, the layers that are known, and the exported fields.
func (m *Metainfo) Bytes() []byte {
	if m.raw != nil {
		return m.raw
	}
	e := bencode.NewEncoder(make([]byte, 0, m.encodedSize()))
	e.Dict()
	if len(m.Trackers) > 0 && len(m.Trackers[0]) > 0 {
		e.Key("announce")
		e.String(m.Trackers[0][0])
		if len(m.Trackers) > 1 || len(m.Trackers[0]) > 1 {
			e.Key("announce-list")
			encodeTiers(e, m.Trackers)
		}
	}
	if m.Comment != "" {
		e.Key("comment")
		e.String(m.Comment)
	}
	if m.CreatedBy != "" {
		e.Key("created by")
		e.String(m.CreatedBy)
	}
	if m.Created != 0 {
		e.Key("creation date")
		e.Int(m.Created)
	}
	e.Key("info")
	e.Raw(m.InfoBytes)
	if m.Info.Version&V2 != 0 {
		e.Key("piece layers")
		m.encodeLayers(e)
	}
	encodeGroups(e, m.Groups)
	encodeWebSeeds(e, m.WebSeeds)
	e.End()
	b, err := e.Bytes()
	if err != nil {
		return nil // cannot be: the keys above are constant and sorted, and the layers are sorted below
	}
	return b
}

// encodedSize is a guess that is seldom too small.
func (m *Metainfo) encodedSize() int {
	n := len(m.InfoBytes) + len(m.Comment) + len(m.CreatedBy) + 1024
	for _, l := range m.layers {
		n += len(l.hashes) + 48
	}
	return n
}

func encodeTiers(e *bencode.Encoder, tiers [][]string) {
	e.List()
	for _, tier := range tiers {
		e.List()
		for _, u := range tier {
			e.String(u)
		}
		e.End()
	}
	e.End()
}

// encodeLayers writes the layers that are known, in order of their roots, each root once.
func (m *Metainfo) encodeLayers(e *bencode.Encoder) {
	known := make([]layer, 0, len(m.layers))
	for _, l := range m.layers {
		if l.hashes != nil {
			known = append(known, l)
		}
	}
	root := func(l layer) []byte { return m.Info.Files[l.file].Root[:] }
	slices.SortStableFunc(known, func(a, b layer) int { return bytes.Compare(root(a), root(b)) })
	e.Dict()
	for n, l := range known {
		if n == 0 || !bytes.Equal(root(l), root(known[n-1])) {
			e.Key(string(root(l)))
			e.Blob(l.hashes)
		}
	}
	e.End()
}

// encodeWebSeeds writes url-list: one URL as a string, which every reader knows, more as a list (BEP 19).
func encodeWebSeeds(e *bencode.Encoder, urls []string) {
	if len(urls) == 0 {
		return
	}
	e.Key("url-list")
	if len(urls) == 1 {
		e.String(urls[0])
		return
	}
	e.List()
	for _, u := range urls {
		e.String(u)
	}
	e.End()
}

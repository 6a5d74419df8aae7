package files

import (
	"context"
	"os"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

// Place says where a share lies and how it is opened.
type Place struct {
	Meta    *metainfo.Metainfo
	Dir     string // made if it is missing, but not for originals
	Options store.Options
	Reserve func(total int64) int64 // bytes of the disk to leave free
}

// Found is what Open found.
type Found struct {
	Content *store.Content
	Have    []bool // pieces that are there and verified, or trusted
	Unknown []int  // pieces with data that no known hash can judge
}

// Open opens a share's content and verifies what is there and not trusted. Of what is to
// be fetched it says whether it may be: not over a file that is another one, and not where
// the disk has no room. progress is told how much was verified, of 1, a few times a second.
func Open(ctx context.Context, p Place, progress func(part float64)) (*Found, error) {
	inPlace := p.Options.InPlace
	if !inPlace {
		if err := os.MkdirAll(p.Dir, 0o777); err != nil {
			return nil, err
		}
		_, total, err := store.Free(p.Dir)
		if err != nil {
			return nil, err
		}
		p.Options.Reserve = p.Reserve(total)
	}
	content, err := store.Open(p.Meta, p.Dir, p.Options)
	if err != nil {
		return nil, err
	}
	found := &Found{Content: content, Have: make([]bool, p.Meta.Info.NumPieces())}
	if !inPlace { // what can be seen at once is not hashed first
		err = Conflict(content)
	}
	if err == nil {
		err = found.verify(ctx, progress)
	}
	if err == nil && !inPlace {
		err = Conflict(content)
	}
	if err == nil && !inPlace {
		err = p.checkSpace(found.Have)
	}
	if err == nil && !inPlace {
		err = content.Prepare()
	}
	if err != nil {
		content.Close()
		return nil, err
	}
	return found, nil
}

// verify hashes what is on the disk and not trusted.
func (o *Found) verify(ctx context.Context, progress func(part float64)) error {
	trusted := o.Content.Trusted()
	for p := range o.Have {
		o.Have[p] = p/8 < len(trusted) && trusted[p/8]&(0x80>>(p%8)) != 0
	}
	list := o.Content.Unverified(trusted)
	if len(list) == 0 {
		return nil
	}
	checked := 0
	var told time.Time
	return o.Content.Verify(ctx, list, 0, func(p int, v metainfo.Verdict) {
		o.Have[p] = v.Good()
		if v == (metainfo.Verdict{}) {
			o.Unknown = append(o.Unknown, p)
		}
		checked++
		if now := time.Now(); now.Sub(told) > 200*time.Millisecond {
			told = now
			progress(float64(checked) / float64(len(list)))
		}
	})
}

// Conflict is an error when another file stands where one of the share belongs.
func Conflict(content *store.Content) error {
	if c := content.Conflicts(); len(c) > 0 {
		return &store.Error{Op: "get", Path: c[0].Path, Kind: store.ErrExists}
	}
	return nil
}

// checkSpace refuses a fetch that would not leave the reserve.
func (p *Place) checkSpace(have []bool) error {
	need := int64(0)
	for i, here := range have {
		if !here && PieceWanted(p.Meta.Info, i, p.Options.Wanted) {
			need += PieceBytes(p.Meta.Info, i)
		}
	}
	return store.CheckSpace(p.Dir, need, p.Options.Reserve)
}

// SpaceAgain tells whether what kept a share from being written may be gone, for one that
// needs so many bytes more: it asks for less than all of them, so that a fetch goes on as
// far as it can.
func SpaceAgain(dir string, need int64, reserve func(total int64) int64) error {
	_, total, err := store.Free(dir)
	if err != nil {
		return err
	}
	r := reserve(total)
	return store.CheckSpace(dir, min(need, 16<<20), r-r/16) // the file system has taken some for itself
}

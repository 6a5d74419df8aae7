package files

import (
	"context"
	"fmt"
	"strings"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

// Verification is the outcome of Verify.
type Verification struct {
	Pieces, Good, Bad, Missing int
	Bytes                      int64
	Seconds                    float64
	BadFiles                   []string
}

// Verify hashes everything of a share and returns which pieces are good as well. report is
// told the bytes that were looked at, one call at a time. BadFiles are the wanted ones
// that lack a piece.
func Verify(ctx context.Context, content *store.Content, info *metainfo.Info, wanted func(int) bool, report func(done, total int64)) (Verification, []bool, error) {
	v := Verification{Pieces: info.NumPieces()}
	have := make([]bool, v.Pieces)
	begun := time.Now()
	err := content.Verify(ctx, nil, 0, func(p int, verdict metainfo.Verdict) {
		have[p] = verdict.Good()
		switch {
		case have[p]:
			v.Good++
		case content.HasData(p):
			v.Bad++
		default:
			v.Missing++
		}
		v.Bytes += int64(info.PieceSize(p))
		report(v.Bytes, info.Span())
	})
	v.Seconds = time.Since(begun).Seconds()
	if err != nil {
		return v, have, err
	}
	for _, f := range Lacking(info, have, wanted) {
		v.BadFiles = append(v.BadFiles, content.Path(f))
	}
	return v, have, nil
}

// Lacking are the wanted files that lack a piece.
func Lacking(info *metainfo.Info, have []bool, wanted func(int) bool) (list []int) {
	for f := range info.Files {
		if !info.Files[f].Pad && (wanted == nil || wanted(f)) && lacks(info, f, have) > 0 {
			list = append(list, f)
		}
	}
	return list
}

// Vanished are the wanted files that lack a piece and are not there at all.
func Vanished(content *store.Content, info *metainfo.Info, have []bool, wanted func(int) bool) (list []int) {
	stats := content.Stats()
	for _, f := range Lacking(info, have, wanted) {
		if stats[f].State == store.StatAbsent {
			list = append(list, f)
		}
	}
	return list
}

// ChangedText is one line for a person about files that are not what they were.
func ChangedText(paths []string) string {
	if len(paths) == 1 {
		return fmt.Sprintf("%s was changed or removed since it was verified; its pieces are not offered any more. Put it back and verify, or share it anew", paths[0])
	}
	return fmt.Sprintf("%d files were changed or removed since they were verified (%s, …); their pieces are not offered any more. Put them back and verify, or share anew",
		len(paths), strings.Join(paths[:2], ", "))
}

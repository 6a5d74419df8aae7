package node

import (
	"errors"
	"fmt"
	"strings"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/door/api"
	"shoal/internal/node/engine"
)

// Problem is err as a person is told of it: the kinds of packages store and engine become
// those of api, and what can be done is added. Errors that are an *api.Error
// already stay as they are; nil stays nil.
func Problem(err error) error {
	if err == nil {
		return nil
	}
	var known *api.Error
	if errors.As(err, &known) {
		return known
	}
	var bad *metainfo.Error
	if errors.As(err, &bad) {
		return &api.Error{Kind: api.BadData, Reason: strings.TrimPrefix(err.Error(), "metainfo: "), Cause: err}
	}
	for _, k := range kinds {
		if !errors.Is(err, k.is) {
			continue
		}
		e := &api.Error{Kind: k.kind, Reason: err.Error(), Remedy: k.remedy, Cause: err}
		var at *store.Error
		if errors.As(err, &at) {
			e.Subject, e.Reason = at.Path, k.is.Error()
		}
		var room *store.SpaceError
		if errors.As(err, &room) {
			e.Subject, e.Reason = room.Path, fmt.Sprintf("not enough free space: %s needed, %s to be left free, %s free",
				api.FormatSize(room.Need), api.FormatSize(room.Reserve), api.FormatSize(room.Free))
			if room.Reserve == 0 {
				e.Reason = fmt.Sprintf("not enough free space: %s needed, %s free", api.FormatSize(room.Need), api.FormatSize(room.Free))
				e.Remedy = "free some space, or choose another folder with -o"
			}
		}
		return e
	}
	return api.AsError(err)
}

// kinds is the table from what the rooms below say to what a person is told.
var kinds = []struct {
	is     error
	kind   api.Kind
	remedy string
}{
	{store.ErrNoSpace, api.DiskFull, "free some space, choose another folder with -o, or lower disk.reserve in config.toml"},
	{store.ErrFull, api.DiskFull, "free some space; nothing is lost"},
	{store.ErrExists, api.Exists, "move it away, or choose another folder with -o"},
	{store.ErrChanged, api.Path, "try again when no other program writes to it"},
	{store.ErrReadOnly, api.Path, "choose another folder"},
	{store.ErrDenied, api.Path, "choose another folder, or change its permissions"},
	{store.ErrIO, api.Path, "the disk may be failing: look at the system's log"},
	{store.ErrLink, api.Refused, "links are not followed; choose another folder"},
	{engine.ErrNotFound, api.NotFound, "`shoal ls` lists the shares"},
	{engine.ErrNotReady, api.Unavailable, "try again when its description has come and its files were looked at"},
	{engine.ErrNoLayers, api.Unavailable, "they come from a connected peer after those of the selection; `shoal get` without --select fetches all"},
	{engine.ErrNoMatch, api.NotFound, "`shoal show` lists its files"},
	{engine.ErrAudience, api.Exists, "remove it first with `shoal rm`, which leaves its files"},
	{engine.ErrElsewhere, api.Exists, "remove it first, or use that folder"},
	{engine.ErrInPlace, api.Refused, "leave --data out"},
	{engine.ErrRefusedMeta, api.BadData, "the share itself is wrong: ask whoever made it"},
}

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/door/api"
)

// LimitsFile remembers what `shoal limit` set for the whole node: an api.LimitChange. What
// was never set so follows config.toml.
const LimitsFile = "limits.json"

// limits reads what is remembered; nothing if there is no file.
func (h *Home) limits() (c api.LimitChange, err error) {
	path := h.Path(LimitsFile)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, api.Errorf(api.Path, path, "the limits cannot be read: %w", unwrapPath(err))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || c.Up != nil && *c.Up < 0 || c.Down != nil && *c.Down < 0 {
		return api.LimitChange{}, api.Errorf(api.BadData, path, "it does not hold limits").Try("run `shoal fsck --repair`, and set them again with `shoal limit`")
	}
	return c, nil
}

// rememberLimits has the next start begin with what a change sets.
func (h *Home) rememberLimits(change api.LimitChange) error {
	c, err := h.limits()
	if err != nil {
		return err
	}
	b, err := json.Marshal(overLimits(c, change))
	if err != nil {
		return err
	}
	return disk.Replace(h.Path(LimitsFile), b, 0o600)
}

// overLimits is what holds where top was set over base.
func overLimits(base, top api.LimitChange) api.LimitChange {
	if top.Up != nil {
		base.Up = top.Up
	}
	if top.Down != nil {
		base.Down = top.Down
	}
	return base
}

// startLimits are the limits of the node when it starts, bytes a second: a flag's for this run,
// else what is remembered, else those of config.toml.
func (o *Options) startLimits() (up, down int64, err error) {
	c, err := o.Home.limits()
	if err != nil {
		return 0, 0, err
	}
	file := o.Config.Limits
	c = overLimits(overLimits(api.LimitChange{Up: (*api.Rate)(&file.Up), Down: (*api.Rate)(&file.Down)}, c), o.Limits)
	return int64(*c.Up), int64(*c.Down), nil
}

// Limits implements httpd.Limits.
func (n *Node) Limits(_ context.Context, id string) (api.Limits, error) {
	if id == "" {
		up, down := n.engine.Limits()
		return api.Limits{Up: api.Rate(up), Down: api.Rate(down)}, nil
	}
	st, err := n.engine.Status(id)
	if err != nil {
		return api.Limits{}, Problem(err)
	}
	return api.Limits{Up: api.Rate(st.Up), Down: api.Rate(st.Down)}, nil
}

// SetLimits implements httpd.Limits.
func (n *Node) SetLimits(ctx context.Context, id string, c api.LimitChange) (api.Limits, error) {
	up, down := int64(-1), int64(-1)
	if c.Up != nil {
		up = int64(*c.Up)
	}
	if c.Down != nil {
		down = int64(*c.Down)
	}
	n.limiting.Lock()
	defer n.limiting.Unlock()
	if err := n.engine.SetLimits(id, up, down); err != nil {
		return api.Limits{}, Problem(err)
	}
	if id == "" {
		if err := n.opts.Home.rememberLimits(c); err != nil {
			return api.Limits{}, Problem(err)
		}
	}
	return n.Limits(ctx, id)
}

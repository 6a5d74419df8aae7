package main

import (
	"context"

	"shoal/internal/door/api"
	"shoal/internal/door/cli"
	"shoal/internal/node"
	"shoal/internal/node/doctor"
)

// Doctor implements cli.Program: what can be seen of a home whose node cannot start.
func (p *program) Doctor(ctx context.Context, o cli.StartOptions, failed error) []api.Finding {
	facts := doctor.Facts{Failed: api.AsError(failed)}
	if dir, err := node.HomeDir(o.Home, p.getenv); err == nil {
		home := &node.Home{Dir: dir}
		cfg, err := home.LoadConfig()
		if err != nil {
			cfg = node.DefaultConfig()
		}
		facts = doctor.Look(ctx, doctor.Place{Dir: dir, Key: home.Path(node.KeyFile), Reserve: cfg.Disk.Reserve.Bytes,
			Want: cfg.WantsFiles()})
		facts.Failed = api.AsError(failed)
	}
	return doctor.Judge(facts)
}

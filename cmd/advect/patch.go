package main

import (
	"context"

	"advect.dev"
)

type patchCmd struct {
	Path   string     `arg:"" help:"Path of the topic."`
	Patch  string     `arg:"" help:"JSON Patch, RFC 6902; - reads it from standard input."`
	Server connection `embed:""`
}

func (*patchCmd) Help() string { return patchHelp }

// Run applies a patch.
func (c *patchCmd) Run(std *streams) error {
	text, err := (&valueArg{Value: c.Patch}).text(std.in)
	if err != nil {
		return err
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		return session.Topics().ApplyPatch(ctx, c.Path, string(text))
	})
}

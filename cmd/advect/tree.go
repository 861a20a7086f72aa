package main

import (
	"context"
	"fmt"
	"io"

	"advect.dev"
)

type treeCmd struct {
	Path   string     `arg:"" optional:"" help:"Path of the branch; none is the whole tree."`
	Count  int        `default:"1000" placeholder:"N" help:"Count the topics of each branch up to N."`
	JSON   bool       `name:"json" help:"One JSON object for each child."`
	Server connection `embed:""`
}

func (*treeCmd) Help() string { return treeHelp }

// Run shows the children of a path.
func (c *treeCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		for branch, err := range session.Topics().Branches(ctx, c.Path, c.Count) {
			if err != nil {
				return err
			}
			if err := c.print(std.out, &branch); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *treeCmd) print(w io.Writer, b *advect.Branch) error {
	kind, more := "", ""
	if b.Type != 0 {
		kind = b.Type.String()
	}
	if c.JSON {
		return printLine(w, branchLine{b.Path, kind, b.Topics, b.More})
	}
	if b.More {
		more = "+"
	}
	if b.Topics == 1 && b.Type != 0 {
		_, err := fmt.Fprintf(w, "%-11s %8s  %s\n", kind, "", oneLine(b.Path))
		return err
	}
	_, err := fmt.Fprintf(w, "%-11s %8s  %s/\n", kind, fmt.Sprint(b.Topics, more), oneLine(b.Path))
	return err
}

// branchLine is a child in JSON lines.
type branchLine struct {
	Path   string `json:"path"`
	Type   string `json:"type,omitempty"`
	Topics int    `json:"topics"`
	More   bool   `json:"more,omitempty"`
}

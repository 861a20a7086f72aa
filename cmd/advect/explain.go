package main

import (
	"context"
	"fmt"

	"advect.dev"
)

type explainCmd struct {
	Who        string     `arg:"" help:"A principal of the server's store, '' for anonymous sessions, or the id of a session."`
	Permission string     `arg:"" help:"The permission, such as UPDATE_TOPIC."`
	Path       string     `arg:"" optional:"" help:"Where; global permissions need no path."`
	JSON       bool       `name:"json" help:"A JSON object."`
	Server     connection `embed:""`
}

func (*explainCmd) Help() string { return explainHelp }

// Run asks for an explanation and prints it. That a permission is denied is an
// answer, not a failure.
func (c *explainCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		e, err := c.ask(ctx, session.Security())
		if err != nil {
			return err
		}
		if c.JSON {
			return printLine(std.out, explanationLine{e.Granted, orNone(e.Roles), e.Path, e.At, e.Via, e.Text})
		}
		_, err = fmt.Fprintln(std.out, oneLine(e.Text))
		return err
	})
}

func (c *explainCmd) ask(ctx context.Context, security *advect.Security) (advect.Explanation, error) {
	if id, err := advect.ParseSessionID(c.Who); err == nil {
		return security.ExplainSession(ctx, id, c.Permission, c.Path)
	}
	return security.ExplainPrincipal(ctx, c.Who, c.Permission, c.Path)
}

// explanationLine is an explanation in JSON.
type explanationLine struct {
	Granted bool       `json:"granted"`
	Roles   []string   `json:"roles"`
	Path    string     `json:"path,omitempty"`
	At      string     `json:"at,omitempty"`
	Via     [][]string `json:"via,omitempty"`
	Text    string     `json:"text"`
}

// orNone makes a list that is not there an empty one, not null.
func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

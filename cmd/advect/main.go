// Command advect is the Advect server and the tools around it. See
// docs/cli.md, or run "advect --help".
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// The exit codes, as docs/cli.md and the help promise them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// cli is the command tree.
type cli struct {
	Serve    serveCmd    `cmd:"" help:"Run the server."`
	Ping     pingCmd     `cmd:"" help:"Measure round trips to a server."`
	Topics   topicsCmd   `cmd:"" help:"List topics."`
	Tree     treeCmd     `cmd:"" help:"Show one level of the tree of topics."`
	Fetch    fetchCmd    `cmd:"" help:"Show the current values of topics."`
	Set      setCmd      `cmd:"" help:"Set the value of a topic."`
	Patch    patchCmd    `cmd:"" help:"Change parts of the value of a JSON topic."`
	Append   appendCmd   `cmd:"" help:"Add an event to a time series, or edit one."`
	Range    rangeCmd    `cmd:"" help:"Show events of a time series."`
	Sub      subCmd      `cmd:"" help:"Subscribe to topics and show every change."`
	Watch    watchCmd    `cmd:"" help:"Show which topics come and go."`
	Request  requestCmd  `cmd:"" help:"Send a request to a path or to sessions and show the answer."`
	Respond  respondCmd  `cmd:"" help:"Answer requests, and show them."`
	Sessions sessionsCmd `cmd:"" help:"List, watch and control sessions."`
	Security securityCmd `cmd:"" help:"Show and change principals, roles and permissions."`
	Explain  explainCmd  `cmd:"" help:"Say why somebody has a permission, or why not."`
	Metrics  metricsCmd  `cmd:"" help:"Show the metrics of the server."`
	Logs     logsCmd     `cmd:"" help:"Show the log of the server."`
	Export   exportCmd   `cmd:"" help:"Write topics with their values as JSON lines."`
	Import   importCmd   `cmd:"" help:"Add the topics of JSON lines and set their values."`
	Bench    benchCmd    `cmd:"" help:"Put a load on a server and measure it."`
	Inspect  inspectCmd  `cmd:"" help:"Show what a client and a server say to each other."`
	Passwd   passwdCmd   `cmd:"" help:"Change the password of a principal."`
	Config   configCmd   `cmd:"" help:"Show the settings of the server."`
	Version  versionCmd  `cmd:"" help:"Show the version of this binary and of the protocol."`
}

// streams are the standard streams of a command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError is a mistake on the command line, in the environment or in the
// configuration file, found before anything was started.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func main() {
	os.Exit(run(os.Args[1:], &streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run does what the arguments say and returns the exit code.
func run(args []string, std *streams) int {
	parser, err := newParser(std)
	if err != nil {
		panic(err) // a mistake in the tags of cli
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(std.err, "advect: %v\n", err)
		fmt.Fprintf(std.err, "Try: %s --help\n", commandOf(err))
		return exitUsage
	}
	err = command.Run(std)
	if err == nil {
		return 0
	}
	fmt.Fprintf(std.err, "advect: %v\n", err)
	switch {
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, new(*usageError)):
		return exitUsage
	}
	return exitFailed
}

// commandOf returns the command that a mistake is about.
func commandOf(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil {
		return parse.Context.Selected().FullPath()
	}
	return "advect"
}

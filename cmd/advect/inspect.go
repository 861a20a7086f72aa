package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"advect.dev/internal/inspect"
)

type inspectCmd struct {
	Listen  string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Where clients connect instead of to the server; port 0 takes a free one (Default: ${default})."`
	To      string `default:"ws://127.0.0.1:8080" placeholder:"URL" help:"The server: ws://HOST:PORT, or wss:// for TLS (Default: ${default})."`
	Control string `placeholder:"HOST:PORT" help:"Where to take orders to cut, delay and block (Default: none)."`
	JSON    bool   `name:"json" help:"One JSON object for each message and event."`
	Raw     bool   `help:"With the bytes of each message in hexadecimal."`
	Seed    uint64 `placeholder:"N" help:"Makes random cuts the same each time; 0 does not."`
}

func (*inspectCmd) Help() string { return inspectHelp }

// Run inspects until a signal comes.
func (c *inspectCmd) Run(std *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	i, err := inspect.New(inspect.Config{
		Listen: c.Listen, To: c.To, Control: c.Control, Out: std.out, JSON: c.JSON, Raw: c.Raw, Seed: c.Seed,
	})
	if err != nil {
		return err
	}
	control := "none"
	if a := i.ControlAddr(); a != "" {
		control = "http://" + a
	}
	fmt.Fprintf(std.out, "advect: inspect listening=%s control=%s\n", i.Addr(), control)
	return i.Run(ctx)
}

const inspectHelp = `
A proxy between any client and any compatible server, over WebSocket and HTTP polling. It prints what they say to each
other: handshakes, services with their fields, values with deltas applied, sequence numbers. Passwords are not shown.

    advect inspect --listen 127.0.0.1:8081 --to ws://127.0.0.1:8080

When it is ready it prints one line:

    advect: inspect listening=127.0.0.1:8081 control=none

With --control it takes orders over HTTP, to try how an application stands a bad network:

    curl -X POST localhost:9000/cut
    curl -X POST localhost:9000/fault -d '{"websocket": "503"}'
    curl -X POST localhost:9000/delay -d '{"ms": 200, "direction": "both"}'
    curl -X POST localhost:9000/random-cuts -d '{"minMs": 500, "maxMs": 3000}'
    curl localhost:9000/stats

docs/inspector.md lists them all. Ctrl-C ends it with exit code 0.
`

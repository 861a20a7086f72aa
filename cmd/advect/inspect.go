package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"advect.dev/internal/inspect"
)

type inspectCmd struct {
	Listen  string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Where clients connect; port 0 takes a free one."`
	To      string `default:"ws://localhost:8080" placeholder:"URL" help:"The server: ws or wss://HOST:PORT. Both transports pass."`
	Control string `placeholder:"HOST:PORT" help:"Listen here for requests to cut, delay and refuse connections."`
	JSON    bool   `name:"json" help:"One JSON object for each line."`
	Raw     bool   `help:"Add the bytes of each message, in hexadecimal."`
	Quiet   bool   `help:"No lines; for when only the control requests matter."`
	Seed    uint64 `placeholder:"N" help:"Seed of random cuts, to repeat them; 0 is a different one each time."`
}

func (*inspectCmd) Help() string { return inspectHelp }

// Run shows conversations until a signal comes.
func (c *inspectCmd) Run(std *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	cfg := inspect.Config{
		Listen: c.Listen, To: c.To, Control: c.Control, Out: std.out, JSON: c.JSON, Raw: c.Raw, Seed: c.Seed,
	}
	if c.Quiet {
		cfg.Out = nil
	}
	inspector, err := inspect.New(cfg)
	if err != nil {
		return advise(err)
	}
	control := "none"
	if address := inspector.ControlAddr(); address != "" {
		control = "http://" + address
	}
	fmt.Fprintf(std.err, "advect: inspect listening=%s control=%s\n", inspector.Addr(), control)
	return inspector.Run(ctx)
}

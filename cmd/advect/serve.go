package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"advect.dev/internal/security"
	"advect.dev/server"
)

type serveCmd struct {
	Config   string   `type:"path" placeholder:"FILE" env:"ADVECT_CONFIG" help:"YAML file with settings; the names are those of the flags."`
	Settings settings `embed:""`
}

func (*serveCmd) Help() string { return serveHelp }

// Run serves until a signal comes.
func (c *serveCmd) Run(std *streams) error {
	cfg, err := c.Settings.load(c.Config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := newLogger(std.err, cfg)
	for _, name := range strayVariables(os.Environ()) {
		log.Warn("environment variable is not a setting, so it has no effect", "name", name)
	}
	cfg.Logger = log
	if cfg.MaxMemory > 0 {
		debug.SetMemoryLimit(int64(cfg.MaxMemory)) // the collector is the first to work harder
	}
	srv, err := server.Start(cfg.Config)
	if err != nil {
		return advise(err)
	}
	debug.FreeOSMemory() // a new store of principals leaves the memory of four password hashes, 19 MiB each
	go tidy(ctx)
	announce(std.out, srv, cfg)

	<-ctx.Done()
	stop() // a second signal ends the process at once
	log.Info("shutting down: sessions get what is queued for them; a second signal ends at once",
		"sessions", srv.Sessions(), "drain-timeout", cfg.DrainTimeout.String())
	drain, cancel := context.WithTimeout(context.Background(), cfg.DrainTimeout)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		log.Warn("shutdown was cut short", "error", err)
	}
	return nil
}

// announce says what runs. The lines that begin with "advect: ready" are stable:
// one for each listener, after everything else; scripts wait for them.
func announce(w io.Writer, srv *server.Server, cfg config) {
	fmt.Fprintln(w, versionLine())
	dir := "none: everything is kept in memory"
	if cfg.DataDir != "" {
		dir = cfg.DataDir
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
	}
	fmt.Fprintln(w, "data directory:", dir)
	names, stock := srv.Principals()
	known := false
	for i, name := range names {
		if stock[name] {
			names[i] += " (stock password)"
			known = true
		}
	}
	fmt.Fprintln(w, "principals:", strings.Join(names, ", "))
	if known {
		fmt.Fprintf(w, "Everybody knows the stock password %q; change it with: advect passwd PRINCIPAL\n", security.StockPassword)
	}
	for _, url := range srv.URLs() {
		fmt.Fprintf(w, "advect: ready url=%s\n", url)
	}
}

func newLogger(w io.Writer, cfg config) *slog.Logger {
	opts := &slog.HandlerOptions{Level: slog.Level(cfg.LogLevel)}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// advise adds what to do to an error of starting.
func advise(err error) error {
	try := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		try = "stop the program that has this port, or take another with --listen 127.0.0.1:8081 (port 0 takes a free one)"
	case errors.Is(err, syscall.EACCES) && strings.HasPrefix(err.Error(), "listen"):
		try = "a port above 1023, such as --listen 127.0.0.1:8080"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		try = "an address of this machine, such as --listen 127.0.0.1:8080"
	case strings.HasPrefix(err.Error(), "load TLS certificate"):
		try = "check that --tls-cert and --tls-key name the two PEM files of one certificate, and that they may be read"
	case strings.HasPrefix(err.Error(), "open principal store") && (errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrPermission)):
		try = "a directory that this user may write to, with --data-dir DIR"
	default: // the others say it themselves
		return err
	}
	return fmt.Errorf("%w. Try: %s", err, try)
}

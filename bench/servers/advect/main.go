// Command advect-profiled is the server of this repository with a CPU profile
// of its whole life, which no flag of the binary gives. Its settings are those
// of advect serve. For peerbench -profile.
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"advect.dev/server"
)

func main() {
	cfg := server.DefaultConfig()
	listen := flag.String("listen", "127.0.0.1:8080", "HOST:PORT")
	profile := flag.String("cpuprofile", "cpu.prof", "where the profile goes when the server ends")
	flag.Parse()
	cfg.Listen = []string{*listen}
	cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	if err := run(cfg, *profile); err != nil {
		log.Fatal(err)
	}
}

func run(cfg server.Config, profile string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f, err := os.Create(profile)
	if err != nil {
		return err
	}
	defer f.Close()
	srv, err := server.Start(cfg)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	<-ctx.Done()
	pprof.StopCPUProfile() // first: a load generator does not wait long
	ended, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return srv.Shutdown(ended)
}

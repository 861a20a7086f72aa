package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"advect.dev/bench/peers"
)

// inprocess measures sessions without sockets, of which there may be more than a
// machine has descriptors: a benchmark of the server's own, in a process of its own.
func inprocess(n int) func(peers.Adapter, settings) ([]Row, error) {
	return func(_ peers.Adapter, s settings) ([]Row, error) {
		start := time.Now()
		cmd := exec.Command("go", "test", "-run", "^$", "-bench", fmt.Sprintf("^BenchmarkSessionMemory$/^sessions=%d$", n),
			"-benchtime", "1x", "-timeout", "10m", "./internal/engine")
		cmd.Dir = filepath.Join(s.config.BenchDir, "..")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
		m := regexp.MustCompile(`(\d+) RSS-B/session`).FindSubmatch(out)
		if m == nil {
			return nil, fmt.Errorf("no figure in %q", out)
		}
		bytes, err := strconv.ParseFloat(string(m[1]), 64)
		return []Row{{Mode: "inprocess", SessionKiB: bytes / 1024, Seconds: time.Since(start).Seconds()}}, err
	}
}

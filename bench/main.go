// Command peerbench measures real-time servers side by side on one machine.
// See README.md.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"advect.dev/bench/internal/load"
	"advect.dev/bench/internal/proc"
	"advect.dev/bench/peers"
)

func main() {
	log.SetFlags(log.Ltime)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	home, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cache := os.Getenv("PEERBENCH_CACHE")
	if cache == "" {
		cache = filepath.Join(home, "peerbench")
	}
	var s settings
	var sessions, only, which string
	flag.StringVar(&only, "peers", "", "comma-separated peers; empty: all that are installed")
	flag.StringVar(&which, "scenarios", "fanout,topics,large,connect,idle", "comma-separated scenarios")
	flag.StringVar(&sessions, "sessions", "100,1000,5000", "subscriber counts of the fanout scenario")
	flag.Float64Var(&s.rate, "rate", 20000, "fixed rate, in deliveries a second over all subscribers")
	flag.DurationVar(&s.span, "span", 3*time.Second, "length of each measured load")
	flag.DurationVar(&s.warm, "warm", time.Second, "length of the unmeasured load before it")
	flag.DurationVar(&s.settle, "settle", 3*time.Second, "rest before memory is read, and again for idle CPU")
	flag.IntVar(&s.payload, "payload", 128, "bytes of a small message")
	flag.IntVar(&s.document, "document", 4096, "bytes of a large message")
	flag.IntVar(&s.idle, "idle", 10000, "connections of the idle scenario")
	flag.IntVar(&s.connects, "connects", 2000, "connections of the connect scenario")
	repeat := flag.Int("repeat", 1, "how often to run everything; peers take turns in going first")
	pin := flag.Bool("pin", false, "keep the server on CPU 0 and the clients on CPU 1")
	out := flag.String("out", "", "also write all results to this JSON file")
	more := flag.Bool("more", false, "add to the results in the -out file, as further repeats")
	render := flag.String("render", "", "run nothing: print the JSON file of an earlier run as Markdown")
	flag.StringVar(&s.config.CacheDir, "cache", cache, "where install-peers.sh put the servers")
	flag.StringVar(&s.config.BenchDir, "bench", ".", "the root of this module")
	flag.StringVar(&s.config.Profile, "profile", "", "write a CPU profile of the server here; for -peers advect and one scenario")
	flag.Parse()
	if *render != "" {
		return renderFile(os.Stdout, *render)
	}

	for _, f := range strings.Split(sessions, ",") {
		n, err := strconv.Atoi(f)
		if err != nil {
			return fmt.Errorf("-sessions: %w", err)
		}
		s.sessions = append(s.sessions, n)
	}
	adapters, err := choose(only, s.config)
	if err != nil {
		return err
	}
	cases, err := s.cases(strings.Split(which, ","))
	if err != nil {
		return err
	}
	if err := checkFiles(cases); err != nil {
		return err
	}
	if *pin {
		s.config.ServerCPUs = []int{0}
		runtime.GOMAXPROCS(1)
		if err := proc.PinSelf([]int{1}); err != nil {
			return err
		}
	}

	report := newReport(s.config.CacheDir)
	if *more {
		earlier, err := readReport(*out)
		if err != nil {
			return err
		}
		earlier.Args = append(append(earlier.Args, "then"), report.Args...)
		report = earlier
	}
	done := report.repeats()
	for rep := done; rep < done+*repeat; rep++ {
		for _, c := range cases {
			for i := range adapters {
				a := adapters[(i+rep)%len(adapters)]
				if only := a.Scenarios(); only != nil && !slices.Contains(only, c.scenario) {
					continue
				}
				log.Printf("run %d: %s %s, %d sessions", rep+1, c.scenario, a.Name(), c.sessions)
				rows, err := c.run(a, s)
				if err != nil {
					log.Printf("%s %s: %v", c.scenario, a.Name(), err)
					rows = append(rows, Row{Mode: "failed", Error: err.Error()})
				}
				for _, r := range rows {
					r.Peer, r.Scenario, r.Sessions, r.Repeat = a.Name(), c.scenario, c.sessions, rep+1
					report.Rows = append(report.Rows, r)
				}
				if *out != "" {
					if err := report.write(*out); err != nil {
						return err
					}
				}
			}
		}
	}
	report.print(os.Stdout)
	return nil
}

// choose returns the named adapters, or all whose servers are installed.
func choose(only string, cfg load.Config) ([]peers.Adapter, error) {
	var chosen []peers.Adapter
	names := strings.Split(only, ",")
	for _, a := range peers.All() {
		if only != "" {
			if slices.Contains(names, a.Name()) {
				chosen = append(chosen, a)
			}
			continue
		}
		dir, err := os.MkdirTemp("", "peerbench-")
		if err != nil {
			return nil, err
		}
		_, err = a.Command(peers.Env{CacheDir: cfg.CacheDir, BenchDir: cfg.BenchDir, WorkDir: dir})
		os.RemoveAll(dir)
		if err != nil {
			log.Printf("leaving out %s: %v", a.Name(), err)
			continue
		}
		chosen = append(chosen, a)
	}
	if only != "" && len(chosen) != len(names) {
		return nil, fmt.Errorf("-peers: not all of %q are known", names)
	}
	return chosen, nil
}

// checkFiles makes sure that this process and the server, which inherits the
// limit, may open enough sockets.
func checkFiles(cases []testCase) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	need := uint64(200)
	for _, c := range cases {
		need = max(need, uint64(c.sessions)+200)
	}
	if limit.Cur < need {
		return fmt.Errorf("the limit of open files is %d, and this run needs %d: raise it with ulimit -n", limit.Cur, need)
	}
	// Go raises the soft limit for itself but hands the old one to children,
	// unless the program sets it.
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

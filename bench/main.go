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
	var p plan
	var sessions, idle, topics, only, which string
	flag.StringVar(&only, "peers", "", "comma-separated peers; empty: all that are installed")
	flag.StringVar(&which, "scenarios", "", "comma-separated scenarios; empty: all, "+strings.Join(scenarioNames, ", "))
	flag.StringVar(&sessions, "sessions", "100,1000,5000", "subscriber counts of the fanout scenario")
	flag.Float64Var(&s.rate, "rate", 20000, "fixed rate, in deliveries a second over all subscribers")
	flag.DurationVar(&s.span, "span", 2*time.Second, "length of each measured load")
	flag.DurationVar(&s.warm, "warm", 500*time.Millisecond, "length of the unmeasured load before it")
	flag.DurationVar(&s.settle, "settle", 1500*time.Millisecond, "rest before memory is read, and again for idle CPU")
	flag.IntVar(&s.payload, "payload", 128, "bytes of a small message")
	flag.IntVar(&s.document, "document", 4096, "bytes of a large message")
	flag.StringVar(&idle, "idle", "10000,18000", "connection counts of the idle scenario")
	flag.IntVar(&s.growth, "growth", 18000, "subscribers of the growth scenario")
	flag.IntVar(&s.connects, "connects", 2000, "connections of the connect scenario")
	flag.IntVar(&s.storm, "storm", 2000, "sessions of the storm scenario, a multiple of 10")
	flag.IntVar(&s.kept, "kept", 100000, "topics of the subscribeall scenario")
	flag.StringVar(&topics, "topics", "10,1000,100000,1000000", "topic counts of the topicgrowth scenario, 10 or more")
	flag.IntVar(&p.repeat, "repeat", 1, "how often to run everything; peers take turns in going first")
	flag.IntVar(&p.quiet, "quiet", 5, "how many undisturbed runs of a measurement are enough")
	flag.IntVar(&p.extra, "extra", 0, "how often, at most, to repeat the measurements that have too few undisturbed runs")
	flag.DurationVar(&p.limit, "limit", time.Hour, "no such repeat begins after this time")
	pin := flag.Bool("pin", false, "keep the server on CPU 0 and the clients on CPU 1")
	flag.StringVar(&p.out, "out", "", "also write all results to this JSON file, after each measurement")
	more := flag.Bool("more", false, "add to the results in the -out file, as further repeats")
	render := flag.String("render", "", "run nothing: print the JSON file of an earlier run as Markdown")
	doc := flag.String("doc", "", "with -render: write the Markdown between the markers of this document instead, and plots into the folder beside it")
	flag.StringVar(&s.config.CacheDir, "cache", cache, "where install-peers.sh put the servers")
	flag.StringVar(&s.config.BenchDir, "bench", ".", "the root of this module")
	flag.StringVar(&s.config.Profile, "profile", "", "write a CPU profile of the server here; for -peers advect and one scenario")
	flag.Parse()
	if *render != "" {
		return renderFile(os.Stdout, *render, *doc)
	}

	for _, list := range []struct {
		name, text string
		to         *[]int
	}{{"sessions", sessions, &s.sessions}, {"idle", idle, &s.idle}, {"topics", topics, &s.topics}} {
		if *list.to, err = numbers(list.text); err != nil {
			return fmt.Errorf("-%s: %w", list.name, err)
		}
	}
	names := scenarioNames
	if which != "" {
		names = strings.Split(which, ",")
	}
	report := newReport(s.config.CacheDir)
	if p.adapters, report.Missing, err = choose(only, s.config); err != nil {
		return err
	}
	if p.cases, err = s.cases(names); err != nil {
		return err
	}
	if err := checkFiles(p.cases); err != nil {
		return err
	}
	if *pin {
		s.config.ServerCPUs = []int{0}
		runtime.GOMAXPROCS(1)
		if err := proc.PinSelf([]int{1}); err != nil {
			return err
		}
	}
	if *more {
		earlier, err := readReport(p.out)
		if err != nil {
			return err
		}
		earlier.add(report)
		report = earlier
	}
	s.report, p.report = report, report
	p.measure = func(c testCase, a peers.Adapter) ([]Row, error) { return c.run(a, s) }
	p.now, p.logf = time.Now, log.Printf
	if err := p.run(); err != nil {
		return err
	}
	return report.markdown(os.Stdout, p.out)
}

// numbers reads a list such as 100,1000.
func numbers(list string) ([]int, error) {
	var all []int
	for f := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// choose returns the named adapters, or all whose servers are installed and the
// names of the others.
func choose(only string, cfg load.Config) (chosen []peers.Adapter, missing []string, err error) {
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
			return nil, nil, err
		}
		_, err = a.Command(peers.Env{CacheDir: cfg.CacheDir, BenchDir: cfg.BenchDir, WorkDir: dir})
		os.RemoveAll(dir)
		if err != nil {
			log.Printf("leaving out %s: %v", a.Name(), err)
			missing = append(missing, a.Name())
			continue
		}
		chosen = append(chosen, a)
	}
	if only != "" && len(chosen) != len(names) {
		return nil, nil, fmt.Errorf("-peers: not all of %q are known", names)
	}
	return chosen, missing, nil
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
		if c.scenario != "inprocess" {
			need = max(need, uint64(c.sessions)+200)
		}
	}
	if limit.Cur < need {
		return fmt.Errorf("the limit of open files is %d, and this run needs %d: raise it with ulimit -n", limit.Cur, need)
	}
	// Go raises the soft limit for itself but hands the old one to children,
	// unless the program sets it.
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

package gosdk

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"advect.dev"
)

// binary is the built server.
var binary string

// shared is a server with stock settings; scenarios keep to topics of their own.
var shared *serverProcess

// jobs is how many scenarios run at a time: they mostly wait.
const jobs = "12"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if !set("test.parallel") {
		_ = flag.Set("test.parallel", jobs)
	}
	dir, err := os.MkdirTemp("", "advect-gosdk-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "advect")
	build := exec.Command("go", "build", "-o", binary, "advect.dev/cmd/advect")
	if output, err := build.CombinedOutput(); err != nil {
		return fail(fmt.Errorf("build the server: %w\n%s", err, output))
	}
	if shared, err = startServer("127.0.0.1:0"); err != nil {
		return fail(err)
	}
	code := m.Run()
	if session, err := sharedPublisher(); err == nil {
		session.Close()
	}
	shared.stop()
	controlClient.CloseIdleConnections()
	if code != 0 {
		return code
	}
	if err := results.write(); err != nil {
		return fail(err)
	}
	if err := goleak.Find(); err != nil {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "gosdk:", err)
	return 2
}

func set(name string) bool {
	found := false
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// A result is one run of a scenario, a line of results/go.json.
type result struct {
	ID         string `json:"id"`
	Transport  string `json:"transport"`
	Status     string `json:"status"`
	Reason     string `json:"reason,omitempty"`
	Ms         int64  `json:"ms"`
	Group      string `json:"group"`
	Title      string `json:"title"`
	SDK        string `json:"sdk"`
	SDKVersion string `json:"sdkVersion"`
	Runtime    string `json:"runtime"`
}

// results are those of the runs so far.
var results resultList

type resultList struct {
	mu   sync.Mutex
	list []result
}

func (l *resultList) add(r result) {
	r.SDK, r.SDKVersion, r.Runtime = "go", "0.1", runtime.Version()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, r)
}

// write writes the results in the order of the scenarios, unless only some of
// them have run.
func (l *resultList) write() error {
	var lines []byte
	for _, s := range scenarios() {
		for _, transport := range s.transports {
			i := slices.IndexFunc(l.list, func(r result) bool { return r.ID == s.id && r.Transport == short(transport) })
			if i < 0 {
				return nil
			}
			line, err := json.Marshal(l.list[i])
			if err != nil {
				return err
			}
			lines = append(append(lines, line...), '\n')
		}
	}
	dir := filepath.Join("..", "results")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "go.json"), lines, 0o644)
}

// short returns the name of a transport in results.
func short(t advect.Transport) string {
	if t == advect.WebSocket {
		return "ws"
	}
	return "polling"
}

// A scenario is one thing that must hold, for each of its transports.
type scenario struct {
	id, group, title string
	transports       []advect.Transport
	run              func(*scene)
}

var (
	both    = []advect.Transport{advect.WebSocket, advect.HTTPPolling}
	ws      = []advect.Transport{advect.WebSocket}
	polling = []advect.Transport{advect.HTTPPolling}
)

func scenarios() []scenario {
	return slices.Concat(founding, connecting, cancelling, handshake, sessions, recovery, values(), topicScenarios, updates, eventScenarios, services,
		messages, addressed, control, selections, sessionListeners, locks, stores, authenticators, permissionScenarios, permissionExamples, metrics)
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios() {
		for _, transport := range s.transports {
			t.Run(s.id+"/"+short(transport), func(t *testing.T) {
				t.Parallel()
				started := time.Now()
				sc := newScene(t, s.id, transport)
				defer func() {
					r := result{ID: s.id, Transport: short(transport), Status: "pass", Group: s.group, Title: s.title}
					r.Ms = time.Since(started).Milliseconds()
					switch {
					case t.Failed():
						r.Status, r.Reason = "fail", sc.reason
					case t.Skipped():
						r.Status, r.Reason = "skip", sc.reason
					}
					results.add(r)
				}()
				s.run(sc)
			})
		}
	}
}

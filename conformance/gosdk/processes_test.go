package gosdk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startWithin = 20 * time.Second
	stopWithin  = 15 * time.Second
	keptLines   = 20_000
)

// A process is a running binary and the lines that it has printed.
type process struct {
	cmd   *exec.Cmd
	lines *record[string]
	ended chan struct{}
	err   error // of Wait, once ended is closed
}

func start(args ...string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), lines: newRecord[string]("output"), ended: make(chan struct{})}
	p.lines.most = keptLines
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	for _, r := range []io.Reader{stdout, stderr} {
		reading.Go(func() {
			lines := bufio.NewScanner(r)
			lines.Buffer(nil, 64<<20)
			for lines.Scan() {
				p.lines.add(lines.Text())
			}
		})
	}
	go func() {
		reading.Wait()
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// line waits for a line that matches and returns its submatches.
func (p *process) line(pattern string) ([]string, error) {
	re := regexp.MustCompile(pattern)
	timer := time.NewTimer(startWithin)
	defer timer.Stop()
	for seen := 0; ; {
		changed := p.lines.changed()
		all := p.lines.all()
		for _, line := range all[min(seen, len(all)):] {
			if m := re.FindStringSubmatch(line); m != nil {
				return m, nil
			}
		}
		seen = len(all)
		select {
		case <-changed:
		case <-p.ended:
			if len(p.lines.all()) == seen {
				return nil, fmt.Errorf("%s ended before %s:\n%s", p.cmd, pattern, p.tail(10))
			}
		case <-timer.C:
			return nil, fmt.Errorf("%s: no line %s:\n%s", p.cmd, pattern, p.tail(10))
		}
	}
}

func (p *process) tail(n int) string {
	lines := p.lines.all()
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// signal ends the process and returns its exit code, -1 after a signal that it
// did not handle.
func (p *process) signal(s os.Signal) int {
	_ = p.cmd.Process.Signal(s)
	timer := time.AfterFunc(stopWithin, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// A serverProcess is one "advect serve".
type serverProcess struct {
	*process
	port, tlsPort string
	dataDir       string
}

// startServer starts a server with listeners at the given address, which may
// have port 0, and further arguments.
func startServer(listen string, args ...string) (*serverProcess, error) {
	dir, err := os.MkdirTemp("", "advect-data-")
	if err != nil {
		return nil, err
	}
	s := &serverProcess{dataDir: dir}
	s.process, err = start(append([]string{"serve", "--listen", listen, "--data-dir", dir}, args...)...)
	if err != nil {
		return nil, err
	}
	var m []string
	if m, err = s.line(`^advect: ready url=ws://.*:(\d+)/`); err == nil {
		s.port = m[1]
		if strings.Contains(strings.Join(args, " "), "--tls-listen") {
			if m, err = s.line(`^advect: ready url=wss://.*:(\d+)/`); err == nil {
				s.tlsPort = m[1]
			}
		}
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *serverProcess) stop() {
	s.signal(syscall.SIGTERM)
	_ = os.RemoveAll(s.dataDir)
}

// An inspector is one "advect inspect" in front of a server.
type inspector struct {
	*process
	port    string
	control string
}

func startInspector(port string, args ...string) (*inspector, error) {
	p, err := start(append([]string{
		"inspect", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--to", "ws://127.0.0.1:" + port,
	}, args...)...)
	if err != nil {
		return nil, err
	}
	m, err := p.line(`^advect: inspect listening=.*:(\d+) control=(\S+)`)
	if err != nil {
		p.signal(syscall.SIGTERM)
		return nil, err
	}
	return &inspector{p, m[1], m[2]}, nil
}

var controlClient = &http.Client{Transport: &http.Transport{}, Timeout: startWithin}

// order makes a request of the inspector's control interface; a nil body is a GET.
func (i *inspector) order(path string, body, into any) error {
	var res *http.Response
	var err error
	if body == nil {
		res, err = controlClient.Get(i.control + path)
	} else {
		text, _ := json.Marshal(body)
		res, err = controlClient.Post(i.control+path, "application/json", bytes.NewReader(text))
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("inspector: %s: %s", path, text)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	return err
}

// An inspected is a line of an inspector's JSON output.
type inspected struct {
	Transport string         `json:"transport"`
	Direction string         `json:"dir"`
	Kind      string         `json:"kind"`
	Code      int            `json:"code"`
	Service   string         `json:"service"`
	Note      string         `json:"note"`
	Fields    map[string]any `json:"fields"`
}

// parse returns the lines that are one JSON object each.
func parse(lines []string) []inspected {
	var all []inspected
	for _, line := range lines {
		var e inspected
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

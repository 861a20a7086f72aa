package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"advect": main})
}

// TestScripts runs the scripts in testdata/script. Commands of ours:
//
//	code N COMMAND...       run a command that must exit with code N
//	start NAME COMMAND...   start a process; its output goes to NAME.out and NAME.err
//	await NAME RE [VAR]     wait until an output of the process matches; VAR gets the group
//	terminate NAME          send SIGTERM and expect exit code 0
//	signal NAME SIGNAL      send SIGTERM, SIGINT or SIGKILL
//	ended NAME [N]          wait for the process to end by itself, with code N or 0
//	post URL JSON           make a request that must succeed
//	damage FILE OLD NEW     replace the first OLD in a file
//	damage FILE N           cut a file off after N bytes
//	certificate             write cert.pem and key.pem for 127.0.0.1
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values["processes"] = make(map[string]*process)
			// With the race detector a process otherwise sleeps a second before it exits.
			env.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "start": start, "await": await, "terminate": terminate, "signal": signalTo, "ended": ended,
			"certificate": certificate, "damage": damage, "post": post,
		},
	})
}

// patience bounds every wait. It is reached only by a test that fails.
const patience = 30 * time.Second

// process is one that a script started.
type process struct {
	cmd      *exec.Cmd
	out, err output
	exited   chan struct{} // closed after cmd.Wait
}

// output keeps what a process writes, in a file too, and wakes those who wait for more.
type output struct {
	mu   sync.Mutex
	text []byte        // guarded by mu
	more chan struct{} // guarded by mu; closed and replaced when text grows
	file *os.File
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	close(o.more)
	o.more = make(chan struct{})
	return o.file.Write(p)
}

func (o *output) seen() ([]byte, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text), o.more
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	checkCode(ts, ts.Exec(args[1], args[2:]...), args[0])
}

func checkCode(ts *testscript.TestScript, err error, want string) {
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME COMMAND...")
	}
	p := &process{cmd: exec.Command(args[1], args[2:]...), exited: make(chan struct{})}
	for o, suffix := range map[*output]string{&p.out: ".out", &p.err: ".err"} {
		file, err := os.Create(ts.MkAbs(args[0] + suffix))
		ts.Check(err)
		o.file, o.more = file, make(chan struct{})
	}
	path, err := lookPath(ts, args[1])
	ts.Check(err)
	p.cmd.Path, p.cmd.Err = path, nil
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = environment(ts)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	ts.Check(p.cmd.Start())
	ts.Value("processes").(map[string]*process)[args[0]] = p
	go func() {
		_ = p.cmd.Wait() // the state is read from cmd
		close(p.exited)
	}()
	ts.Defer(func() {
		_ = p.cmd.Process.Kill() // most have ended
		<-p.exited
		_ = p.out.file.Close()
		_ = p.err.file.Close()
	})
}

// lookPath finds a program in the PATH of the script.
func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, name); executable(path) {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0 && !info.IsDir()
}

// environment is that of the script, as far as processes here need it.
func environment(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "WORK", "TMPDIR", "ADVECT_LISTEN", "ADVECT_LISTN", "ADVECT_CONFIG", "ADVECT_DATA_DIR",
		"ADVECT_URL", "ADVECT_PRINCIPAL", "ADVECT_PASSWORD", "GOCOVERDIR", "GORACE",
	} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func named(ts *testscript.TestScript, args []string, least, most int) *process {
	if len(args) < least || len(args) > most {
		ts.Fatalf("wrong number of arguments")
	}
	p := ts.Value("processes").(map[string]*process)[args[0]]
	if p == nil {
		ts.Fatalf("no process %q", args[0])
	}
	return p
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	p := named(ts, args, 2, 3)
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	deadline := time.After(patience)
	for last := false; ; {
		out, more := p.out.seen()
		errs, moreErrs := p.err.seen()
		for _, text := range [][]byte{out, errs} {
			if m := re.FindSubmatch(text); m != nil {
				if len(args) == 3 {
					ts.Setenv(args[2], string(m[1]))
				}
				return
			}
		}
		if last {
			ts.Fatalf("%s never printed %q. Output:\n%s%s", args[0], args[1], out, errs)
		}
		select {
		case <-more:
		case <-moreErrs:
		case <-p.exited:
			last = true
		case <-deadline:
			last = true
		}
	}
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	p := named(ts, args, 1, 1)
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	ended(ts, neg, args)
}

func signalTo(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGKILL": syscall.SIGKILL}
	p := named(ts, args, 2, 2)
	ts.Check(p.cmd.Process.Signal(signals[args[1]]))
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	p := named(ts, args, 1, 2)
	want := "0"
	if len(args) == 2 {
		want = args[1]
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		ts.Fatalf("%s does not end", args[0])
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != want {
		text, _ := p.err.seen()
		ts.Fatalf("%s: exit code %s, want %s. Errors:\n%s", args[0], got, want, text)
	}
}

func certificate(ts *testscript.TestScript, neg bool, args []string) {
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	pair := srv.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(block), 0o600))
	}
}

func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: damage FILE OLD NEW, or damage FILE N")
	}
	before := ts.ReadFile(args[0])
	after := ""
	if len(args) == 3 {
		after = strings.Replace(before, args[1], args[2], 1)
	} else {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		after = before[:min(n, len(before))]
	}
	if after == before {
		ts.Fatalf("%s stays as it is", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(after), 0o600))
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: post URL JSON")
	}
	resp, err := http.Post(args[0], "application/json", strings.NewReader(args[1]))
	ts.Check(err)
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		ts.Fatalf("%s: %s", args[0], resp.Status)
	}
}

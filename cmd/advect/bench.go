package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/term"

	"advect.dev"
	"advect.dev/internal/load"
)

type benchCmd struct {
	Connect   benchConnectCmd   `cmd:"" help:"Open sessions, and time each."`
	Fanout    benchFanoutCmd    `cmd:"" help:"Send each value to all sessions."`
	Topics    benchTopicsCmd    `cmd:"" help:"Update many topics, of which each session has some."`
	Deltas    benchDeltasCmd    `cmd:"" help:"Update large values of which little changes."`
	Latency   benchLatencyCmd   `cmd:"" help:"Raise the rate step by step, and show the latency of each."`
	Reconnect benchReconnectCmd `cmd:"" help:"Cut all connections at once, and watch the sessions come back."`
	All       benchAllCmd       `cmd:"" help:"All of these, one after the other; about a minute."`
}

// benchFlags are those of every benchmark.
type benchFlags struct {
	Parallel int        `default:"50" placeholder:"N" help:"Sessions that are being opened at a time."`
	JSON     string     `name:"json" placeholder:"FILE" help:"Write the report as JSON; - is standard output, instead of the table."`
	HTML     string     `name:"html" type:"path" placeholder:"FILE" help:"Write the report as a page with plots."`
	Quiet    bool       `short:"q" help:"Do not show how far it is."`
	Server   connection `embed:""`
}

// trafficFlags are those of benchmarks that publish.
type trafficFlags struct {
	Warmup   duration          `default:"1s" placeholder:"DURATION" help:"Publish this long before measuring."`
	Property map[string]string `placeholder:"NAME=VALUE" help:"Property of the topics, such as CONFLATION=off, PUBLISH_VALUES_ONLY=true or COMPRESSION=off. Repeatable."`
}

type benchConnectCmd struct {
	Sessions int        `default:"1000" placeholder:"N" help:"Sessions to open, each with a topic."`
	Rate     float64    `default:"0" placeholder:"N" help:"Sessions to begin each second; 0 is as fast as possible."`
	Duration duration   `default:"1s" placeholder:"DURATION" help:"Keep them open this long."`
	Common   benchFlags `embed:""`
}

func (c *benchConnectCmd) scenarios() []load.Scenario {
	return []load.Scenario{{
		Kind: load.Connect, Sessions: c.Sessions, Topics: 1, PerSession: 1, Size: 128, Rate: c.Rate, Duration: time.Duration(c.Duration),
	}}
}

type benchFanoutCmd struct {
	Sessions int          `default:"1000" placeholder:"N" help:"Sessions, all subscribed to the one topic."`
	Rate     float64      `default:"0" placeholder:"N" help:"Updates each second; 0 is as fast as they arrive."`
	Size     size         `default:"128" placeholder:"SIZE" help:"Bytes of a value."`
	Changing int          `default:"0" placeholder:"N" help:"Fields of 16 bytes that change from value to value; 0 is all."`
	Duration duration     `default:"10s" placeholder:"DURATION" help:"Measure this long."`
	Traffic  trafficFlags `embed:""`
	Common   benchFlags   `embed:""`
}

func (c *benchFanoutCmd) scenarios() []load.Scenario {
	return []load.Scenario{c.Traffic.of(load.Scenario{
		Kind: load.Fanout, Sessions: c.Sessions, Topics: 1, PerSession: 1, Rate: c.Rate, Size: int(c.Size), Changing: c.Changing,
		Duration: time.Duration(c.Duration),
	})}
}

type benchTopicsCmd struct {
	Sessions   int          `default:"1000" placeholder:"N" help:"Sessions."`
	Topics     int          `default:"1000" placeholder:"N" help:"Topics, updated in turn."`
	PerSession int          `default:"10" placeholder:"N" help:"Topics that each session subscribes to."`
	Rate       float64      `default:"0" placeholder:"N" help:"Updates each second, all topics together; 0 is as fast as they arrive."`
	Size       size         `default:"128" placeholder:"SIZE" help:"Bytes of a value."`
	Changing   int          `default:"0" placeholder:"N" help:"Fields of 16 bytes that change from value to value; 0 is all."`
	Duration   duration     `default:"10s" placeholder:"DURATION" help:"Measure this long."`
	Traffic    trafficFlags `embed:""`
	Common     benchFlags   `embed:""`
}

func (c *benchTopicsCmd) scenarios() []load.Scenario {
	return []load.Scenario{c.Traffic.of(load.Scenario{
		Kind: load.Topics, Sessions: c.Sessions, Topics: c.Topics, PerSession: c.PerSession, Rate: c.Rate, Size: int(c.Size),
		Changing: c.Changing, Duration: time.Duration(c.Duration),
	})}
}

type benchDeltasCmd struct {
	Sessions int          `default:"100" placeholder:"N" help:"Sessions, all subscribed to the one topic."`
	Rate     float64      `default:"100" placeholder:"N" help:"Updates each second; 0 is as fast as they arrive."`
	Size     size         `default:"4KiB" placeholder:"SIZE" help:"Bytes of a value."`
	Changing int          `default:"1" placeholder:"N" help:"Fields of 16 bytes that change from value to value; 0 is all."`
	Duration duration     `default:"10s" placeholder:"DURATION" help:"Measure this long."`
	Traffic  trafficFlags `embed:""`
	Common   benchFlags   `embed:""`
}

func (c *benchDeltasCmd) scenarios() []load.Scenario {
	return []load.Scenario{c.Traffic.of(load.Scenario{
		Kind: load.Deltas, Sessions: c.Sessions, Topics: 1, PerSession: 1, Rate: c.Rate, Size: int(c.Size), Changing: c.Changing,
		Duration: time.Duration(c.Duration),
	})}
}

type benchLatencyCmd struct {
	Sessions int          `default:"100" placeholder:"N" help:"Sessions, all subscribed to the one topic."`
	Rates    []float64    `default:"10,20,50,100,200,500,1000,2000,5000,10000,20000,50000" placeholder:"N,..." help:"Updates each second, step by step. It ends with the first that is too much."`
	Size     size         `default:"128" placeholder:"SIZE" help:"Bytes of a value."`
	Changing int          `default:"0" placeholder:"N" help:"Fields of 16 bytes that change from value to value; 0 is all."`
	Duration duration     `default:"3s" placeholder:"DURATION" help:"Measure each rate this long."`
	Traffic  trafficFlags `embed:""`
	Common   benchFlags   `embed:""`
}

func (c *benchLatencyCmd) scenarios() []load.Scenario {
	return []load.Scenario{c.Traffic.of(load.Scenario{
		Kind: load.Latency, Sessions: c.Sessions, Topics: 1, PerSession: 1, Rates: c.Rates, Size: int(c.Size), Changing: c.Changing,
		Duration: time.Duration(c.Duration),
	})}
}

type benchReconnectCmd struct {
	Sessions int          `default:"1000" placeholder:"N" help:"Sessions, all subscribed to the one topic."`
	Storms   int          `default:"1" placeholder:"N" help:"How often to cut all connections."`
	Rate     float64      `default:"10" placeholder:"N" help:"Updates each second, all the while."`
	Size     size         `default:"128" placeholder:"SIZE" help:"Bytes of a value."`
	Duration duration     `default:"2s" placeholder:"DURATION" help:"Time before each storm and after the last."`
	Traffic  trafficFlags `embed:""`
	Common   benchFlags   `embed:""`
}

func (c *benchReconnectCmd) scenarios() []load.Scenario {
	return []load.Scenario{c.Traffic.of(load.Scenario{
		Kind: load.Reconnect, Sessions: c.Sessions, Topics: 1, PerSession: 1, Rate: c.Rate, Size: int(c.Size), Storms: c.Storms,
		Duration: time.Duration(c.Duration),
	})}
}

type benchAllCmd struct {
	Sessions int          `default:"1000" placeholder:"N" help:"Sessions; latency and deltas take a tenth of them."`
	Rate     float64      `default:"20" placeholder:"N" help:"Updates each second where the rate is fixed."`
	Duration duration     `default:"5s" placeholder:"DURATION" help:"Measure each this long."`
	Traffic  trafficFlags `embed:""`
	Common   benchFlags   `embed:""`
}

func (c *benchAllCmd) scenarios() []load.Scenario {
	span, few := time.Duration(c.Duration), max(1, c.Sessions/10)
	list := []load.Scenario{
		{Kind: load.Connect, Sessions: c.Sessions, Topics: 1, PerSession: 1, Size: 128, Duration: time.Second},
		{Kind: load.Fanout, Sessions: c.Sessions, Topics: 1, PerSession: 1, Size: 128, Rate: c.Rate, Duration: span},
		{Kind: load.Fanout, Sessions: c.Sessions, Topics: 1, PerSession: 1, Size: 128, Duration: span},
		{Kind: load.Topics, Sessions: c.Sessions, Topics: 1000, PerSession: 10, Size: 128, Duration: span},
		{Kind: load.Deltas, Sessions: few, Topics: 1, PerSession: 1, Size: 4 << 10, Changing: 1, Rate: 100, Duration: span},
		{Kind: load.Latency, Sessions: few, Topics: 1, PerSession: 1, Size: 128, Rates: []float64{10, 100, 200, 500, 1000, 2000, 5000, 10000, 20000}, Duration: span / 3},
		{Kind: load.Reconnect, Sessions: c.Sessions, Topics: 1, PerSession: 1, Size: 128, Rate: c.Rate, Storms: 1, Duration: time.Second},
	}
	for i := range list {
		list[i] = c.Traffic.of(list[i])
	}
	return list
}

func (f *trafficFlags) of(s load.Scenario) load.Scenario {
	s.Warmup, s.Properties = time.Duration(f.Warmup), f.Property
	return s
}

func (*benchCmd) Help() string          { return benchHelp }
func (*benchConnectCmd) Help() string   { return benchConnectHelp }
func (*benchFanoutCmd) Help() string    { return benchFanoutHelp }
func (*benchTopicsCmd) Help() string    { return benchTopicsHelp }
func (*benchDeltasCmd) Help() string    { return benchDeltasHelp }
func (*benchLatencyCmd) Help() string   { return benchLatencyHelp }
func (*benchReconnectCmd) Help() string { return benchReconnectHelp }
func (*benchAllCmd) Help() string       { return benchAllHelp }

// Run measures. Each of these does.
func (c *benchConnectCmd) Run(std *streams) error   { return c.Common.run(std, c.scenarios()) }
func (c *benchFanoutCmd) Run(std *streams) error    { return c.Common.run(std, c.scenarios()) }
func (c *benchTopicsCmd) Run(std *streams) error    { return c.Common.run(std, c.scenarios()) }
func (c *benchDeltasCmd) Run(std *streams) error    { return c.Common.run(std, c.scenarios()) }
func (c *benchLatencyCmd) Run(std *streams) error   { return c.Common.run(std, c.scenarios()) }
func (c *benchReconnectCmd) Run(std *streams) error { return c.Common.run(std, c.scenarios()) }
func (c *benchAllCmd) Run(std *streams) error       { return c.Common.run(std, c.scenarios()) }

// run plays scenarios and writes the report, also of what was done before an
// interruption.
func (f *benchFlags) run(std *streams, scenarios []load.Scenario) error {
	for i := range scenarios {
		scenarios[i].Parallel = f.Parallel
	}
	if err := f.check(scenarios); err != nil {
		return &usageError{err}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	open, err := f.Server.opener(std)
	if err != nil {
		return err
	}
	line := newStatusLine(std.err, f.Quiet)
	target := load.Target{Open: open, MetricsURL: f.Server.metricsURL(), Progress: line.show}
	report := load.Report{
		Version: load.ReportVersion, Program: versionLine(), Started: time.Now().UTC().Truncate(time.Second), Server: f.Server.URL,
		Machine: load.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Processors: runtime.NumCPU(), Go: runtime.Version()},
		Results: []load.Result{},
	}
	for _, s := range scenarios {
		var result load.Result
		if result, err = load.Run(ctx, &target, s); result.Begun() {
			report.Results = append(report.Results, result)
		}
		if err != nil {
			break
		}
	}
	line.clear()
	if report.Interrupted = ctx.Err() != nil; report.Interrupted {
		err = errInterrupted
	}
	if len(report.Results) > 0 {
		err = errors.Join(err, f.write(std.out, &report))
	}
	if err == nil && !report.OK() {
		err = errors.New("not all was as it should be: see PROBLEM above")
	}
	return f.Server.adviseClient(err)
}

// descriptors is how many descriptors this program needs beside those of sessions.
const descriptors = 50

// check looks for what is wrong before anything is started.
func (f *benchFlags) check(scenarios []load.Scenario) error {
	limit := load.DescriptorLimit()
	for _, s := range scenarios {
		if err := s.Check(); err != nil {
			return err
		}
		if need := s.Sessions + descriptors; limit > 0 && need > limit {
			return fmt.Errorf("%d sessions need %d file descriptors, and this process may have %d. Try: ulimit -n %d (the server needs as many), or --sessions %d",
				s.Sessions, need, limit, need, max(1, limit-descriptors))
		}
	}
	return nil
}

func (f *benchFlags) write(out io.Writer, report *load.Report) error {
	var err error
	if f.JSON == "-" {
		err = writeJSON(out, report)
	} else {
		if f.JSON != "" {
			err = writeFile(f.JSON, report, writeJSON)
		}
		err = errors.Join(err, report.WriteText(out))
	}
	if f.HTML != "" {
		err = errors.Join(err, writeFile(f.HTML, report, func(w io.Writer, r *load.Report) error { return r.WriteHTML(w) }))
	}
	return err
}

func writeJSON(w io.Writer, report *load.Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(report)
}

func writeFile(name string, report *load.Report, write func(io.Writer, *load.Report) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file, report), file.Close())
}

// metricsURL is where a server on this machine tells its metrics, or "".
func (c *connection) metricsURL() string {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "ws" && u.Scheme != "xhr" {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return ""
	}
	return "http://" + u.Host + "/metrics"
}

// opener returns what opens sessions.
func (c *connection) opener(std *streams) (load.Opener, error) {
	target, common, err := c.options(std)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, opts ...advect.Option) (*advect.Session, error) {
		return advect.Open(ctx, target, append(common[:len(common):len(common)], opts...)...)
	}, nil
}

// A statusLine shows how far a benchmark is: on a terminal one line that changes,
// elsewhere a line every few seconds.
type statusLine struct {
	w        io.Writer
	terminal bool
	quiet    bool
	phase    string
	shown    time.Time
	start    time.Time
}

// statusEvery is how often a line is written where it cannot be changed.
const statusEvery = 5 * time.Second

func newStatusLine(w io.Writer, quiet bool) *statusLine {
	file, ok := w.(*os.File)
	return &statusLine{
		w: w, quiet: quiet, start: time.Now(),
		terminal: ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb",
	}
}

func (s *statusLine) show(p load.Progress) {
	now := time.Now()
	phase := string(p.Kind) + p.Phase
	switch {
	case s.quiet:
	case s.terminal && (phase != s.phase || now.Sub(s.shown) >= progressEvery):
		s.phase, s.shown = phase, now
		fmt.Fprintf(s.w, "\r\x1b[K%s", s.fit(p.String()))
	case !s.terminal && (phase != s.phase || now.Sub(s.shown) >= statusEvery):
		s.phase, s.shown = phase, now
		fmt.Fprintf(s.w, "%4.0fs  %s\n", now.Sub(s.start).Seconds(), p)
	}
}

// fit cuts a text off at the edge of the terminal: it would otherwise stay there.
func (s *statusLine) fit(text string) string {
	runes := []rune(text)
	if file, ok := s.w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 && len(runes) >= width {
			return string(runes[:width-1])
		}
	}
	return text
}

// clear takes the line away.
func (s *statusLine) clear() {
	if s.terminal && !s.quiet && !s.shown.IsZero() {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}

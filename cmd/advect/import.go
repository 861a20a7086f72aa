package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"advect.dev"
	"advect.dev/datatype"
)

type importCmd struct {
	File     string     `arg:"" help:"File of JSON lines, as export writes them; - reads standard input."`
	FromLine int        `default:"1" placeholder:"N" help:"Begin with line N, to go on where an import has ended."`
	Prefix   string     `placeholder:"PATH" help:"Put the topics below this path."`
	Server   connection `embed:""`
}

func (*importCmd) Help() string { return importHelp }

const (
	importWorkers = 64       // lines under way at a time
	longestLine   = 64 << 20 // bytes
)

// Run adds topics. A line that fails is reported and the rest goes on, unless
// the session is over.
func (c *importCmd) Run(std *streams) error {
	in, size := std.in, int64(0)
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return &usageError{err}
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil {
			size = info.Size()
		}
		in = file
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		i := &importer{importCmd: c, topics: session.Topics(), std: std, progress: newProgress(std.err, size)}
		return i.run(ctx, session, in)
	})
}

// An importer carries out one import.
type importer struct {
	*importCmd
	topics   *advect.Topics
	std      *streams
	progress *progress

	mu      sync.Mutex // guards what follows, and standard error
	done    int
	bytes   int64
	failed  int
	pending map[int]bool // lines that are under way
}

func (i *importer) run(ctx context.Context, session *advect.Session, in io.Reader) error {
	i.pending = make(map[int]bool)
	var workers sync.WaitGroup
	room := make(chan struct{}, importWorkers)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	last := 0
	for lines.Scan() {
		last++
		number, text := last, bytes.Clone(lines.Bytes())
		if number < i.FromLine || len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		i.begin(number)
		if ctx.Err() != nil || !session.State().IsConnected() {
			break // and it stays begun
		}
		room <- struct{}{}
		workers.Go(func() {
			defer func() { <-room }()
			i.finish(number, len(text), i.line(ctx, text))
		})
	}
	workers.Wait()
	i.progress.clear()
	return i.result(session, last, lines.Err())
}

func (i *importer) begin(number int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pending[number] = true
}

// finish takes note of a line. One whose call got no answer is not done.
func (i *importer) finish(number, bytes int, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if errors.Is(err, advect.ErrNotConnected) || errors.Is(err, advect.ErrMessageLoss) || errors.Is(err, context.Canceled) {
		return
	}
	delete(i.pending, number)
	i.bytes += int64(bytes)
	if err != nil {
		i.failed++
		i.progress.clear()
		fmt.Fprintf(i.std.err, "advect: line %d: %v\n", number, err)
		return
	}
	i.done++
	i.progress.update(i.done, i.bytes)
}

func (i *importer) result(session *advect.Session, last int, err error) error {
	if err != nil {
		err = fmt.Errorf("line %d: %w", last+1, err)
	} else if reason := session.Err(); reason != nil {
		err = reason
	}
	if len(i.pending) > 0 {
		first := last
		for number := range i.pending {
			first = min(first, number)
		}
		return errors.Join(err, fmt.Errorf("stopped at line %d. Try: --from-line %d", first, first))
	}
	switch {
	case err != nil:
		return err
	case i.failed > 0:
		return fmt.Errorf("%d topics imported, %d lines failed", i.done, i.failed)
	}
	_, err = fmt.Fprintf(i.std.out, "%d topics imported\n", i.done)
	return err
}

func parseRecord(line []byte) (r topicRecord, err error) {
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("not a topic: %w", err)
	}
	if r.Path == "" || r.Type == "" {
		return r, errors.New(`not a topic: "path" or "type" is missing`)
	}
	return r, nil
}

// line adds the topic of a line.
func (i *importer) line(ctx context.Context, text []byte) error {
	r, err := parseRecord(text)
	if err != nil {
		return err
	}
	if i.Prefix != "" {
		r.Path = strings.Trim(i.Prefix, "/") + "/" + r.Path
	}
	ctx, cancel := i.Server.request(ctx)
	defer cancel()
	spec := advect.Specification{Properties: r.Properties}
	if strings.EqualFold(r.Type, advect.TimeSeries.String()) {
		spec.Type = advect.TimeSeries
		return i.series(ctx, &r, spec)
	}
	t, err := datatype.ParseType(r.Type)
	if err != nil {
		return err
	}
	spec.Type = advect.TopicType(t)
	if !r.present() {
		_, err := i.topics.Add(ctx, r.Path, spec)
		return err
	}
	value, err := r.read(t)
	if err != nil {
		return fmt.Errorf("topic %s: %w", r.Path, err)
	}
	_, err = i.topics.AddAndSet(ctx, r.Path, spec, value)
	return err
}

// series adds a time series, and its events in order.
func (i *importer) series(ctx context.Context, r *topicRecord, spec advect.Specification) error {
	t, ok := advect.ValueType(spec)
	if !ok {
		return fmt.Errorf("topic %s: it has no type of events", r.Path)
	}
	if _, err := i.topics.Add(ctx, r.Path, spec); err != nil {
		return err
	}
	for n, e := range r.Events {
		if !e.present() {
			e.Bytes = new(string)
			*e.Bytes = "9g==" // null
		}
		value, err := e.read(t)
		if err == nil {
			_, err = i.topics.AppendAt(ctx, r.Path, value, e.Timestamp)
		}
		if err != nil {
			return fmt.Errorf("topic %s: event %d of the line: %w", r.Path, n+1, err)
		}
	}
	return nil
}

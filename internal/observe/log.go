package observe

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/tally"
)

// maxLine bounds a line that a Log keeps, in bytes; longer ones are cut.
const maxLine = 4 << 10

// A Log keeps the latest lines of a server's log, for clients. Its methods may be
// called concurrently.
type Log struct {
	levels [4]tally.Counter
	file   int64

	mu    sync.Mutex
	lines [][]byte // a ring: entry n is at n%cap
	next  int64    // index of the next entry
}

// NewLog returns a log that keeps a number of lines, perhaps 0.
func NewLog(lines int) *Log {
	return &Log{lines: make([][]byte, lines), file: time.Now().UnixMilli()}
}

// Write takes one line, as a [slog.TextHandler] writes it.
func (l *Log) Write(line []byte) (int, error) {
	n := len(line)
	if len(line) > maxLine {
		line = append(bytes.ToValidUTF8(line[:maxLine-4], nil), "...\n"...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) > 0 {
		at := &l.lines[l.next%int64(len(l.lines))]
		*at = append((*at)[:0], line...)
		l.next++
	}
	return n, nil
}

// Fetch returns entries from an index on, at most maxBytes of them but one at
// least, of those that are still there. Entries are lines, numbered from 0 since
// the server started (34 section 4).
func (l *Log) Fetch(r service.LogRequest, maxBytes int) service.LogEntries {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		return service.LogEntries{}
	}
	first := min(max(r.First, l.next-int64(len(l.lines)), 0), l.next)
	res := service.LogEntries{First: first, Available: l.next, FirstLine: first + 1, File: l.file}
	for n := first; n < l.next && res.Count < r.Count; n++ {
		line := l.lines[n%int64(len(l.lines))]
		if res.Count > 0 && len(res.Text)+len(line) > maxBytes {
			break
		}
		res.Text = append(res.Text, line...)
		res.Count++
	}
	return res
}

// Entries returns how many entries were logged at a level or above it, up to the
// next one.
func (l *Log) Entries(level slog.Level) int64 { return l.levels[levelIndex(level)].Load() }

func levelIndex(level slog.Level) int {
	return min(max(int(level-slog.LevelDebug)/4, 0), 3)
}

// Handler returns a handler that gives every record to next and keeps it in l, as
// text, if next wants it.
func (l *Log) Handler(next slog.Handler) slog.Handler {
	return &logHandler{next, slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.Level(-1 << 30)}), l}
}

type logHandler struct {
	next, text slog.Handler
	log        *Log
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.log.levels[levelIndex(r.Level)].Add(0, 1)
	if len(h.log.lines) > 0 {
		_ = h.text.Handle(ctx, r.Clone()) // Log.Write does not fail
	}
	return h.next.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.next.WithAttrs(attrs), h.text.WithAttrs(attrs), h.log}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.next.WithGroup(name), h.text.WithGroup(name), h.log}
}

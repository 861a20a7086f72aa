package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress shows on a terminal how far something is. Elsewhere it shows nothing.
type progress struct {
	w     io.Writer // nil: shows nothing
	total int64     // bytes; 0: not known
	start time.Time
	shown time.Time
}

// progressEvery is how often the line is written anew.
const progressEvery = 100 * time.Millisecond

func newProgress(w io.Writer, total int64) *progress {
	p := &progress{total: total, start: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		p.w = w
	}
	return p
}

// update shows the numbers of topics and of bytes that are done.
func (p *progress) update(topics int, bytes int64) {
	now := time.Now()
	if p.w == nil || now.Sub(p.shown) < progressEvery {
		return
	}
	p.shown = now
	bar := ""
	if p.total > 0 {
		const width = 30
		done := int(min(bytes, p.total) * width / p.total)
		bar = "[" + strings.Repeat("#", done) + strings.Repeat(".", width-done) + "] "
	}
	rate := float64(topics) / max(now.Sub(p.start).Seconds(), 0.001)
	fmt.Fprintf(p.w, "\r\x1b[K%s%d topics, %.0f/s", bar, topics, rate)
}

// clear takes the line away, before something else is written.
func (p *progress) clear() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

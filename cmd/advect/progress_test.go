package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, 100)
		p.update(1, 10)
		p.clear()
		if out.Len() > 0 {
			t.Errorf("not on a terminal, and yet it shows %q", out.String())
		}

		p.w = &out
		time.Sleep(time.Second)
		p.update(50, 50)
		p.update(51, 51) // too soon
		if got, want := out.String(), "["+strings.Repeat("#", 15)+strings.Repeat(".", 15)+"] 50 topics, 50/s"; strings.Count(got, "topics") != 1 || !strings.HasSuffix(got, want) {
			t.Errorf("shows %q, want %q", got, want)
		}
		time.Sleep(time.Second)
		p.update(100, 200) // the file has grown
		if !strings.HasSuffix(out.String(), "["+strings.Repeat("#", 30)+"] 100 topics, 50/s") {
			t.Errorf("shows %q", out.String())
		}
		out.Reset()
		p.clear()
		if out.String() != "\r\x1b[K" {
			t.Errorf("clear writes %q", out.String())
		}
	})
	if p := newProgress(os.Stderr, 0); p.w != nil {
		t.Skip("standard error is a terminal")
	}
}

package main

import (
	"bytes"
	"testing"
)

// FuzzConfigFile reads any file: it is refused, or what was read prints as a
// file that reads the same.
func FuzzConfigFile(f *testing.F) {
	var all bytes.Buffer
	if err := printYAML(&all, describe(defaults())); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		all.String(), "", "# only a comment", "listen: [a, b]\nmax-sessions: 3", "listen:\n- a\n- b\n", "poll-hold: 1s\r\n",
		"a: b", "- a", "listen: {a: b}", "data-dir: &x y\nserver-name: *x", "? a\n: b", "queue-bytes: |\n  1", "a: !!binary x",
		"server-name: \"\\u0000\"", "---\n---\n", "listen: [", "<<: *a", "server-name: 'a: b'",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseFile("file.yaml", data)
		if err != nil {
			return
		}
		cfg := defaults()
		set.apply(&cfg)
		var first, second bytes.Buffer
		if err := printYAML(&first, describe(cfg)); err != nil {
			t.Fatal(err)
		}
		again, err := parseFile("printed.yaml", first.Bytes())
		if err != nil {
			t.Fatalf("what was printed is refused: %v\n%s", err, first.Bytes())
		}
		cfg = defaults()
		again.apply(&cfg)
		if err := printYAML(&second, describe(cfg)); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Fatalf("printed\n%s\nreads as\n%s", first.Bytes(), second.Bytes())
		}
	})
}

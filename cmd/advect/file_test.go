package main

import (
	"bytes"
	"testing"
)

// TestConfigFileForms reads odd files: each is refused, or what was read prints
// as a file that reads the same.
func TestConfigFileForms(t *testing.T) {
	var all bytes.Buffer
	if err := printYAML(&all, describe(defaults())); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		all.String(), "", "# only a comment", "listen: [a, b]\nmax-sessions: 3", "listen:\n- a\n- b\n", "poll-hold: 1s\r\n",
		"a: b", "- a", "listen: {a: b}", "data-dir: &x y\nserver-name: *x", "? a\n: b", "queue-bytes: |\n  1", "a: !!binary x",
		"server-name: \"\\u0000\"", "---\n---\n", "listen: [", "<<: *a", "server-name: 'a: b'", "server-name: '# a'", "server-name: \"é\\n\\t\"", "server-name: 'true'", "server-name: '12'",
	} {
		set, err := parseFile("file.yaml", []byte(text))
		if err != nil {
			continue
		}
		first := printed(t, set)
		again, err := parseFile("printed.yaml", []byte(first))
		if err != nil {
			t.Errorf("%q: what was printed is refused: %v\n%s", text, err, first)
			continue
		}
		if second := printed(t, again); first != second {
			t.Errorf("%q: printed\n%s\nreads as\n%s", text, first, second)
		}
	}
}

// printed is the configuration file of what a file sets.
func printed(t *testing.T, set *settings) string {
	cfg := defaults()
	set.apply(&cfg)
	var b bytes.Buffer
	if err := printYAML(&b, describe(cfg)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

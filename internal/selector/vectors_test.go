package selector

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"advect.dev/internal/topic"
)

type vectors struct {
	Paths []string
	Parse []struct {
		Input, Type, ExpressionOnWire, Prefix, RequestHex string
		Rejected                                          bool
	}
	ParseArrays []struct {
		Input                                      []string
		Type, ExpressionOnWire, Prefix, RequestHex string
	}
	Prefixes          []struct{ Selector, Prefix string }
	RequestsWithScope []struct{ Selector, Scope, Hex string }
	Matching          []struct {
		Selector                  string
		Matches, Misses           []string
		ClientRejectsOnEvaluation bool
	}
}

func readVectors(t testing.TB) *vectors {
	t.Helper()
	data, err := os.ReadFile("../../testdata/vectors/selectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v := &vectors{}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	return v
}

// javaResults are the rows of the matching vectors where a server must differ
// from the client that they were computed with (protocol 13 section 6).
var javaResults = map[string][]string{
	`?a|ab`:       {"a", "ab"},
	`*a|a/b`:      {"a", "a/b", "/a/b/"},
	`*(a|a/b)`:    {"a", "a/b", "/a/b/"},
	`?\Qa.b\E`:    {"a.b"},
	`*\Qa*b\E`:    {"a*b"},
	`?(?i)a`:      {"a", "A"},
	`*(?i)A/B`:    {"a/b", "/a/b/"},
	`?a++`:        {"a", "aa"},
	`?(?>a)`:      {"a"},
	`?\p{Lower}+`: {"a", "b", "ab", "aa", "foo", "alpha", "beta"},
	`*(?s).*`:     nil, // every non-empty probe path
}

// serverRefuses are expressions that clients send unchecked and that are not
// valid regular expressions.
var serverRefuses = []string{"?[", "?[^/]*"}

func TestVectorsMatching(t *testing.T) {
	v := readVectors(t)
	evaluations := 0
	for _, row := range v.Matching {
		s, err := Parse(row.Selector)
		if slices.Contains(serverRefuses, row.Selector) {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("Parse(%q) = %v, want ErrInvalid", row.Selector, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Parse(%q): %v", row.Selector, err)
			continue
		}
		want := row.Matches
		if java, ok := javaResults[row.Selector]; ok {
			if want = java; want == nil {
				want = v.Paths
			}
		} else if row.ClientRejectsOnEvaluation {
			t.Errorf("%q: no server result known", row.Selector)
		}
		for _, path := range v.Paths {
			if path == "" {
				continue // never a topic
			}
			evaluations++
			if got := s.Match(topic.Canonical(path)); got != slices.Contains(want, path) {
				t.Errorf("%q matches %q = %v, want %v", row.Selector, path, got, !got)
			}
		}
		if err := s.Err(); err != nil {
			t.Error(err)
		}
	}
	if evaluations < 3000 {
		t.Errorf("only %d evaluations", evaluations)
	}
}

func TestVectorsParse(t *testing.T) {
	for _, row := range readVectors(t).Parse {
		s, err := Parse(row.Input)
		if row.Rejected || slices.Contains(serverRefuses, row.Input) {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("Parse(%q) = %v, want ErrInvalid", row.Input, err)
			}
		} else if err != nil {
			t.Errorf("Parse(%q): %v", row.Input, err)
		} else if s.String() != row.ExpressionOnWire || s.Prefix() != row.Prefix || string(s.Kind()) != row.Type {
			t.Errorf("Parse(%q) = %c %q with prefix %q, want %s %q %q",
				row.Input, s.Kind(), s, s.Prefix(), row.Type, row.ExpressionOnWire, row.Prefix)
		}
		joined, err := Join(row.Input)
		if row.Rejected != (err != nil) || !row.Rejected && joined != row.ExpressionOnWire {
			t.Errorf("Join(%q) = %q, %v, want %q", row.Input, joined, err, row.ExpressionOnWire)
		}
		if got := request(joined, ""); !row.Rejected && got != row.RequestHex {
			t.Errorf("request for %q = %s, want %s", row.Input, got, row.RequestHex)
		}
	}
}

func TestVectorsParseArrays(t *testing.T) {
	for _, row := range readVectors(t).ParseArrays {
		joined, err := JoinSet(row.Input...)
		if err != nil || joined != row.ExpressionOnWire {
			t.Errorf("JoinSet(%q) = %q, %v, want %q", row.Input, joined, err, row.ExpressionOnWire)
			continue
		}
		if len(row.Input) > 1 {
			if got, err := Join(row.Input...); got != joined || err != nil {
				t.Errorf("Join(%q) = %q, %v, want %q", row.Input, got, err, joined)
			}
		}
		s, err := Parse(joined)
		if err != nil {
			t.Errorf("Parse(%q): %v", joined, err)
		} else if string(s.Kind()) != row.Type || s.Prefix() != row.Prefix || request(joined, "") != row.RequestHex {
			t.Errorf("Parse(%q) = %c with prefix %q", joined, s.Kind(), s.Prefix())
		}
	}
}

func TestVectorsPrefixes(t *testing.T) {
	for _, row := range readVectors(t).Prefixes {
		s, err := Parse(row.Selector)
		if err != nil {
			t.Errorf("Parse(%q): %v", row.Selector, err)
		} else if s.Prefix() != row.Prefix {
			t.Errorf("prefix of %q = %q, want %q", row.Selector, s.Prefix(), row.Prefix)
		}
	}
}

func TestVectorsRequestsWithScope(t *testing.T) {
	for _, row := range readVectors(t).RequestsWithScope {
		if joined, err := Join(row.Selector); err != nil || request(joined, row.Scope) != row.Hex {
			t.Errorf("request for %q in %q = %s, %v, want %s", row.Selector, row.Scope, request(joined, row.Scope), err, row.Hex)
		}
	}
}

// request is the body of a subscription: two strings, here all shorter than
// 128 octets, after their lengths.
func request(expr, scope string) string {
	return hex.EncodeToString(fmt.Appendf(nil, "%c%s%c%s", byte(len(expr)), expr, byte(len(scope)), scope))
}

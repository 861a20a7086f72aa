package selector

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dlclark/regexp2/v2"
	"go.uber.org/goleak"

	"advect.dev/internal/topic"
)

func TestMain(m *testing.M) {
	code := m.Run()
	regexp2.StopTimeoutClock() // ends by itself, but later than the check below waits
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func mustParse(t testing.TB, expr string) *Selector {
	t.Helper()
	s, err := Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		expr, reason string
		offset       int
	}{
		{"", "empty selector", 0},
		{">", "empty path", 1},
		{"/", "empty path", 1},
		{">a//b", "empty segment", 2},
		{"a//b", "empty segment", 1},
		{"?", "empty path", 1},
		{"?//a.", "empty segment", 2},
		{"?a.//b", "empty segment", 3},
		{"?a.////", "empty segment", 3},
		{"*//", "empty path", 1},
		{"$a", "reserved first character $", 0},
		{"<a", "reserved first character <", 0},
		{"?[", "[ without ]", 1},
		{"?a/b[", "[ without ]", 4},
		{"?/a/b[/", "[ without ]", 5},
		{"*(", "( without )", 1},
		{`?\Qa/b\E`, "unknown or not supported", 6},
		{`*\0101/.*`, "", -1},
		{`?\0101/.*`, "cannot match its own literal prefix", 1},
		{"#>a////", "empty selector", 7},
		{"#////>a", "empty selector", 1},
		{"#>a////?b/[", "[ without ]", 10},
		{"#>a////$b", "reserved", 7},
		{"#>a////##>b//c", "empty segment", 11},
		{"?a\xff", "UTF-8", 2},
		{">" + strings.Repeat("a", MaxLength), "longer than", MaxLength},
		{"#" + strings.Repeat("a////", MaxMembers) + "a", "more than", -1},
		{"*" + strings.Repeat("(a|bc){900}", 20), "too large", 1},
		{"#" + strings.Repeat("*(ab|c){900}////", 50) + "*a", "too large together", -1},
	} {
		_, err := Parse(tt.expr)
		if tt.reason == "" {
			if err != nil {
				t.Errorf("Parse(%q) = %v", tt.expr, err)
			}
			continue
		}
		var e *Error
		if !errors.Is(err, ErrInvalid) || !errors.As(err, &e) {
			t.Errorf("Parse(%.40q) = %v, want an *Error", tt.expr, err)
			continue
		}
		if !strings.Contains(e.Reason, tt.reason) || e.Expr != tt.expr || tt.offset >= 0 && e.Offset != tt.offset {
			t.Errorf("Parse(%.40q) = %v, want %s at offset %d", tt.expr, err, tt.reason, tt.offset)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("Parse(%.40q): error of %d octets", tt.expr, len(err.Error()))
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		expr    string
		yes, no []string
	}{
		{`?a`, []string{"a"}, []string{"a/b", "ab", "b"}},
		{`?a///`, []string{"a", "a/b"}, []string{"ab"}},
		{`?a.*/b/`, []string{"a/b/c", "ax/b/c/d"}, []string{"a/b", "a/c/b"}},
		{`?a.*/b//`, []string{"a/b", "ax/b/c/d"}, []string{"a", "a/c/b"}},
		{`*a|b/`, []string{"a/x", "b/x"}, []string{"a", "b", "ab/x"}},
		{`*a|b//`, []string{"a/x", "b/x", "a", "b"}, []string{"ab", "ab/x"}},
		{`*[^/]+//`, []string{"a", "a/b/c"}, nil},
		{`*.*//`, []string{"a", "a/b/c"}, nil},
		{`*a/b|c`, []string{"a/b"}, []string{"c", "a"}},
		{`*a/b|ab/c`, []string{"a/b", "ab/c"}, []string{"a", "ab"}},
		{`*a\/b`, []string{"a/b"}, []string{"a"}},
		{`*\Qa/b*\E/`, []string{"a/b*/c"}, []string{"a/b*", "a/b"}},
		{`*()//`, nil, []string{"a", "a/b"}},
		{`?(?!admin).*/.+`, []string{"user/x"}, []string{"admin/x", "user"}},
		{`?(.)\1/x`, []string{"aa/x"}, []string{"ab/x"}},
		{`?\x41`, []string{"A"}, []string{"x41"}},
		{`>a//`, nil, []string{"a", "a/b"}},
		{`#?a/////?b`, []string{"a/x", "b"}, []string{"a", "b/x"}},
		{`###>a`, []string{"a"}, nil},
		{`##`, nil, []string{"a"}},
		{`#>b////#////>a`, []string{"a", "b"}, nil},
	} {
		s := mustParse(t, tt.expr)
		for _, path := range tt.yes {
			if !s.Match(path) {
				t.Errorf("%q does not match %q", tt.expr, path)
			}
		}
		for _, path := range tt.no {
			if s.Match(path) {
				t.Errorf("%q matches %q", tt.expr, path)
			}
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	for _, expr := range []string{">a/b", "?a//", "?a/.*", "?.*//", `*a/.*`, `?\w+/[bc]`, "?(?!x).*/b", "#>c////?a/b", "*(a|b)/(b|c)"} {
		s := mustParse(t, expr)
		if n := testing.AllocsPerRun(100, func() { s.Match("a/b") }); n != 0 || !s.Match("a/b") {
			t.Errorf("%q on a/b: %v allocations, match %v", expr, n, s.Match("a/b"))
		}
	}
}

func TestMatchesEverythingAndNothing(t *testing.T) {
	for expr, want := range map[string]string{
		"?.*//": "everything", "*.*//": "everything", "*.*": "everything", "*.+": "everything", "?.+//": "everything",
		"*(?s).*": "everything", "*[^/]+//": "everything", "#>a////?.*//": "everything", "?^.*$//": "everything",
		"?.*": "", "?.*/": "", "*.*/": "", "*[^/]+": "", "?.*/.*//": "", "?a//": "", "*a.*": "", "*(?!a).*": "", ">.*": "", `*\w*//`: "",
		"#": "nothing", "##": "nothing", ">a//": "nothing", "?a//b": "nothing", ">//a": "nothing", "#>a//////>/b//": "nothing",
		"#>a//////>b": "", ">a": "", "?a/": "",
	} {
		s := mustParse(t, expr)
		got := ""
		if s.MatchesEverything() {
			got += "everything"
		}
		if s.MatchesNothing() {
			got += "nothing"
		}
		if got != want {
			t.Errorf("%q matches %q, want %q", expr, got, want)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, tt := range []struct {
		exprs []string
		want  string
	}{
		{[]string{"a"}, ">a"},
		{[]string{"?["}, "?["},
		{[]string{"a", "#b////?c//", "##", "*d"}, "#>a////>b////?c//////*d"},
		{[]string{"#"}, "#"},
		{nil, "#"},
	} {
		if got, err := Join(tt.exprs...); err != nil || got != tt.want {
			t.Errorf("Join(%q) = %q, %v, want %q", tt.exprs, got, err, tt.want)
		}
	}
	for _, exprs := range [][]string{{""}, {"a", "$b"}, {"*a////.", "b"}, {"a//b", "c"}, slices.Repeat([]string{"a"}, MaxMembers+1)} {
		if got, err := Join(exprs...); !errors.Is(err, ErrInvalid) {
			t.Errorf("Join(%.40q) = %.40q, %v, want ErrInvalid", exprs, got, err)
		}
	}
}

func TestCatastrophicPatternIsReported(t *testing.T) {
	path := strings.Repeat("a", 40) + "!/x"
	for _, expr := range []string{`?(a+)+\1b/x`, `*((a|aa)+)+(?!x)b/`, `#>b////?((a|aa)+)+(?=c)c//`} {
		s := mustParse(t, expr)
		start := time.Now()
		if s.Match(path) {
			t.Errorf("%q matches", expr)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%q: took %v", expr, took)
		}
		if err := s.Err(); !errors.Is(err, ErrTooComplex) {
			t.Errorf("%q: Err() = %v", expr, err)
		}
	}
	s := mustParse(t, `?(a+)+b/x`)
	if s.Match(path) || s.Err() != nil {
		t.Errorf("%q: Err() = %v, want nil: it is regular", s, s.Err())
	}
}

func TestConcurrentUse(t *testing.T) {
	s := mustParse(t, `#?(\w)\1////*(?!a)\w+//////>x`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if !s.Match("aa") || s.Match("ab") || !s.Match("b/c") || s.Err() != nil {
					t.Error("wrong match")
				}
			}
		})
	}
	wg.Wait()
}

// probes are paths on which two selectors are compared.
var probes = []string{"a", "b", "a/b", "a/b/c", "ab", "ab/c", "aa/b/c/d", "A", "a.b", "a*b", "ü/水", "x1", "a/b/x1", "Diffusion/x"}

func FuzzParse(f *testing.F) {
	v := readVectors(f)
	for _, row := range v.Parse {
		f.Add(row.Input, "a/b")
	}
	for _, row := range v.Matching {
		f.Add(row.Selector, "alpha/beta")
	}
	f.Fuzz(func(t *testing.T, expr, path string) {
		if len(expr) > 300 || len(path) > 60 {
			return
		}
		start := time.Now()
		s, err := Parse(expr)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(expr) {
				t.Fatalf("Parse(%q) = %#v", expr, err)
			}
			return
		}
		again, err := Parse(s.String())
		if err != nil || again.String() != s.String() || again.Prefix() != s.Prefix() || again.Kind() != s.Kind() {
			t.Fatalf("Parse(%q).String() = %q, which parses as %v, %v", expr, s, again, err)
		}
		var x Index[int]
		x.Add(s, 1)
		for _, path := range append(probes, path) {
			matched := s.Match(path)
			walked, found := walkTo(s, path), len(slices.Collect(x.Candidates(path))) > 0
			if s.Err() != nil {
				break // time, not meaning, decides
			}
			if again.Match(path) != matched || walked != matched || found != matched {
				t.Fatalf("%q on %q: Match = %v, reparsed %v, walk %v, index %v", expr, path, matched, again.Match(path), walked, found)
			}
			if topic.CheckPath(path) != nil {
				continue
			}
			if matched && (!strings.HasPrefix(path, s.Prefix()) || s.MatchesNothing()) ||
				!matched && s.MatchesEverything() && !strings.ContainsAny(path, "\n\r\u0085\u2028\u2029") {
				t.Fatalf("%q on %q: Match = %v, prefix %q, nothing %v, everything %v",
					expr, path, matched, s.Prefix(), s.MatchesNothing(), s.MatchesEverything())
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("%q: took %v", expr, took)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, expr := range []string{">a/b/c", "?a/b//", "?a/.*/c", "*a/(b|c)+"} {
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(expr); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	const path = "markets/fx/eurusd/bid"
	for _, bm := range []struct{ name, expr string }{
		{"path", ">" + path}, {"branch", "?markets//"}, {"split", `?markets/.*/[a-z]+/bid`}, {"regular", `?markets/(fx|cfd)/(eur|gbp)+(usd|chf)/bid`},
		{"full", "*markets/.*bid"}, {"full-regular", "*markets/(fx|cfd)/.*"}, {"lookahead", "?(?!admin).*//"}, {"everything", "?.*//"}, {"miss", "?other//"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			s := mustParse(b, bm.expr)
			b.ReportAllocs()
			for b.Loop() {
				if s.Match(path) != (bm.name != "miss") {
					b.Fatal("wrong match")
				}
			}
		})
	}
}

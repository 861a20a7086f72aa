package javaregexp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	regexp2.StopTimeoutClock()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		expr      string
		yes, no   []string
		otherwise string // reason for an unusual row
	}{
		{expr: "", yes: []string{""}, no: []string{"a"}},
		{expr: "abc", yes: []string{"abc"}, no: []string{"", "ab", "abcd", "xabc", "ABC"}},
		{expr: "a|ab", yes: []string{"a", "ab"}, no: []string{"", "b", "abb"}},
		{expr: "a||b", yes: []string{"a", "", "b"}, no: []string{"ab"}},
		{expr: "a.*z", yes: []string{"az", "a-z", "azz"}, no: []string{"a", "z", "a\nz"}},
		{expr: "ab*ba", yes: []string{"aba", "abba"}, no: []string{"ba", "aba "}},
		{expr: "aa*aa", yes: []string{"aaa", "aaaa"}, no: []string{"aa"}},
		{expr: "x*|b", yes: []string{"", "xx", "b"}, no: []string{"xb"}},
		{expr: "a{2,3}", yes: []string{"aa", "aaa"}, no: []string{"a", "aaaa"}},
		{expr: "ü{2}", yes: []string{"üü"}, no: []string{"ü", "üüü"}},
		{expr: "a{0}b", yes: []string{"b"}, no: []string{"ab"}},
		{expr: "(ab){2,}?c", yes: []string{"ababc", "abababc"}, no: []string{"abc"}},
		{expr: ".", yes: []string{"a", "水", "\U0001F600", "/"}, no: []string{"", "\n", "\r", "\u0085", "\u2028", "\u2029", "ab"}},
		{expr: "(?s).", yes: []string{"\n", "\u2028"}},
		{expr: "(?d).", yes: []string{"\r", "\u2028"}, no: []string{"\n"}},
		{expr: "(?s:a.)b.", yes: []string{"a\nbc"}, no: []string{"a\nb\n"}},
		{expr: `\Qa.b\E`, yes: []string{"a.b"}, no: []string{"axb"}},
		{expr: `\Qa.b`, yes: []string{"a.b"}, no: []string{"axb"}},
		{expr: `\Qa\.b\E+`, yes: []string{`a\.b`, `a\.bb`}, no: []string{"a.b"}},
		{expr: `\Q\\E`, yes: []string{`\`}},
		{expr: `\Q\`, yes: []string{`\`}},
		{expr: `[\Q^-]\E]`, yes: []string{"^", "-", "]"}, no: []string{"_"}},
		{expr: `(?i)a`, yes: []string{"a", "A"}, no: []string{"b"}},
		{expr: `(?i)ü`, yes: []string{"ü"}, no: []string{"Ü"}, otherwise: "Java folds US-ASCII only"},
		{expr: `(?iu)ü`, yes: []string{"ü", "Ü"}},
		{expr: `(?iu)[α-γ]`, yes: []string{"Α", "β"}, no: []string{"Δ"}},
		{expr: `(?i:a)b`, yes: []string{"Ab"}, no: []string{"AB"}},
		{expr: `a(?i)b|c`, yes: []string{"aB", "C"}, no: []string{"AB"}},
		{expr: `(a(?i)b)c`, yes: []string{"aBc"}, no: []string{"aBC"}},
		{expr: `(?i)a(?-i)b`, yes: []string{"Ab"}, no: []string{"AB"}},
		{expr: `(?i)[^a]`, yes: []string{"b"}, no: []string{"a", "A"}},
		{expr: `(?i)[C-e]+`, yes: []string{"cdeCDEabAB_"}},
		{expr: "(?x) a b # c", yes: []string{"ab"}, no: []string{" a b "}},
		{expr: "(?x)a\\ b#x\n[c d]", yes: []string{"a bc"}, no: []string{"a b "}},
		{expr: `\d\D\w\W\s\S`, yes: []string{"1a_- x", "9x0.\vy"}, no: []string{"٣a_- x"}},
		{expr: `\s`, yes: []string{" ", "\t", "\n", "\v", "\f", "\r"}, no: []string{"\u00a0", "\u0085"}},
		{expr: `\h+`, yes: []string{"\t \u00a0\u180e\u3000"}, no: []string{"\n", "h"}},
		{expr: `\v+`, yes: []string{"\n\v\f\r\u0085\u2028\u2029"}, no: []string{" ", "v"}},
		{expr: `\H\V`, yes: []string{"ab", "\n "}, no: []string{" \n"}},
		{expr: `a\Rb`, yes: []string{"a\r\nb", "a\nb", "a\u2028b"}, no: []string{"aRb", "a\n\rb"}},
		{expr: `\u0041\u00fc\x42\x{43}\x{1F600}\0104`, yes: []string{"AüBC\U0001F600D"}},
		{expr: `\uD83D\uDE00`, yes: []string{"\U0001F600"}},
		{expr: `[\uD83D\uDE00-\uD83D\uDE02]`, yes: []string{"\U0001F601"}, no: []string{"\U0001F603"}},
		{expr: `\t\n\r\f\a\e\cA`, yes: []string{"\t\n\r\f\a\x1b\x01"}},
		{expr: `\.\*\+\?\^\$\{\}\(\)\[\]\|\\\/\-\_\ü`, yes: []string{`.*+?^${}()[]|\/-_ü`}},
		{expr: `a}]`, yes: []string{"a}]"}},
		{expr: `^a$`, yes: []string{"a"}, no: []string{"a\n"}},
		{expr: `\Aa\z`, yes: []string{"a"}},
		{expr: `(^a$|b)`, yes: []string{"a", "b"}, no: []string{"ab"}},
		{expr: `a^b`, no: []string{"ab", "a^b"}},
		{expr: `(?m)a\n^b$`, yes: []string{"a\nb"}},
		{expr: `a\b-\bb\Bc`, yes: []string{"a-bc"}},
		{expr: `ü\b-`, no: []string{"ü-"}},
		{expr: `[a-c]`, yes: []string{"a", "b", "c"}, no: []string{"d", "-"}},
		{expr: `[]a]`, yes: []string{"]", "a"}, no: []string{"b"}},
		{expr: `[^]a]`, yes: []string{"b"}, no: []string{"]", "a"}},
		{expr: `[a^-]`, yes: []string{"a", "^", "-"}, no: []string{"b"}},
		{expr: `[-a]`, yes: []string{"-", "a"}},
		{expr: `[a-]`, yes: []string{"-", "a"}},
		{expr: `[\d-x]`, yes: []string{"-", "x", "5"}, no: []string{"w"}},
		{expr: `[a-[x]]`, yes: []string{"a", "-", "x"}, no: []string{"b"}},
		{expr: `[a&b]`, yes: []string{"&", "a"}},
		{expr: `[a[bc]d]`, yes: []string{"a", "b", "c", "d"}, no: []string{"[", "]"}},
		{expr: `[a-z&&[^aeiou]]+`, yes: []string{"xyz"}, no: []string{"a", "&", "xa"}},
		{expr: `[a-z&&def]`, yes: []string{"d", "f"}, no: []string{"a", "&"}},
		{expr: `[a-f&&d-h&&[^e]]`, yes: []string{"d", "f"}, no: []string{"c", "e", "g"}},
		{expr: `[^a-f&&d-h]`, yes: []string{"a", "g"}, no: []string{"d", "f"}},
		{expr: `[a-f&&[d-e]x]`, yes: []string{"d"}, no: []string{"x", "a"}},
		{expr: `[[:alpha:]]`, yes: []string{"a", ":", "l"}, no: []string{"b"}, otherwise: "in Java a nested class"},
		{expr: `\p{L}\pL\p{Lu}\P{Lu}`, yes: []string{"üßÜa"}, no: []string{"1bcd"}},
		{expr: `\p{IsLatin}\p{IsGreek}\p{script=Han}`, yes: []string{"aα水"}},
		{expr: `\p{IsAlphabetic}+`, yes: []string{"aü水"}, no: []string{"1"}},
		{expr: `\p{Lower}+`, yes: []string{"abc"}, no: []string{"A", "ü"}},
		{expr: `(?i)\p{Lower}\p{Lu}`, yes: []string{"Aa", "aA"}},
		{expr: `\p{Alpha}\p{Digit}\p{Alnum}\p{Punct}\p{XDigit}`, yes: []string{"a1z!F"}, no: []string{"ü1z!F"}},
		{expr: `\p{javaLowerCase}\p{javaUpperCase}`, yes: []string{"üÜ"}, no: []string{"ÜÜ"}},
		{expr: `[\p{L}&&[^\p{IsLatin}]]`, yes: []string{"α"}, no: []string{"a", "1"}},
		{expr: `(?<year>\d{4})-(?:\d\d)`, yes: []string{"2026-01"}, no: []string{"206-01"}},
		{expr: `a++`, yes: []string{"a", "aa"}, no: []string{"", "b"}},
		{expr: `a*+a`, no: []string{"a", "aa"}},
		{expr: `a?+a`, yes: []string{"aa"}, no: []string{"a"}},
		{expr: `(ab)*+c`, yes: []string{"ababc", "c"}, no: []string{"ab"}},
		{expr: `([^a]++){2}`, no: []string{"b", "bb", "bbb"}},
		{expr: `(ab|a)++b`, no: []string{"ab", "aab"}},
		{expr: `(b|bc){2}+`, yes: []string{"bb"}, no: []string{"bcb"}},
		{expr: `(?>a)`, yes: []string{"a"}},
		{expr: `(?>a|ab)c`, yes: []string{"ac"}, no: []string{"abc"}},
		{expr: `(?=a)a`, yes: []string{"a"}, no: []string{"b"}},
		{expr: `a(?=b)b`, yes: []string{"ab"}, no: []string{"a", "ac"}},
		{expr: `(?!admin).*`, yes: []string{"user", "", "adm"}, no: []string{"admin", "administrator"}},
		{expr: `^(?!admin$|root$).+$`, yes: []string{"user", "administrator"}, no: []string{"admin", "root", ""}},
		{expr: `(?=.*\d)(?!.*x)[a-z\d]+`, yes: []string{"a1"}, no: []string{"ab", "a1x", "1X"}},
		{expr: `((?!x).)*`, yes: []string{"", "abc"}, no: []string{"axb"}},
		{expr: `.*(?<!tmp)`, yes: []string{"a", "tm"}, no: []string{"tmp", "a.tmp"}},
		{expr: `.*(?<=\.json)`, yes: []string{"a.json"}, no: []string{"a.jso"}},
		{expr: `(?!a|b).|bb`, yes: []string{"c", "bb"}, no: []string{"a", "b", "cc"}},
		{expr: `(a)\1`, yes: []string{"aa"}, no: []string{"a", "ab"}},
		{expr: `(a|b)x\1`, yes: []string{"axa", "bxb"}, no: []string{"axb"}},
		{expr: `(?<n>\w+)-\k<n>`, yes: []string{"ab-ab"}, no: []string{"ab-ac"}},
		{expr: `(?i)(ab)\1`, yes: []string{"abAB"}},
		{expr: `(a)\11`, yes: []string{"aa1"}, otherwise: "no group 11, so group 1 and a 1"},
		{expr: `(a)\Q1\E`, yes: []string{"a1"}},
		{expr: `(\p{Lu}|\x{1F600})\1[^-\]\x{1F600}]`, yes: []string{"ÜÜa", "\U0001F600\U0001F600b"}, no: []string{"ÜÜ-", "ÜÜ]", "ÜÜ\U0001F600"}},
		{expr: `(.)\b\1|(.)\B\2`, yes: []string{"aa", "--"}, no: []string{"ab"}},
		{expr: `.{0,2000}`, yes: []string{"", strings.Repeat("a", 2000)}, no: []string{strings.Repeat("a", 2001)}},
		{expr: `(ab){1500}`, yes: []string{strings.Repeat("ab", 1500)}, no: []string{strings.Repeat("ab", 1499)}},
		{expr: `((ab){40}){40}`, yes: []string{strings.Repeat("ab", 1600)}, no: []string{strings.Repeat("ab", 1599)}},
		{expr: `[a&&b]`, no: []string{"a", "b", "&", ""}},
		{expr: `(x)\1|[a&&b]`, yes: []string{"xx"}, no: []string{"a", "b", "&", ""}},
		{expr: `\uD800`, no: []string{"", "\ufffd", "\x80"}},
	} {
		re, err := Compile(tt.expr)
		if err != nil {
			t.Errorf("Compile(%q): %v", tt.expr, err)
			continue
		}
		for _, text := range tt.yes {
			if !re.Match(text) {
				t.Errorf("%q does not match %q", tt.expr, text)
			}
		}
		for _, text := range tt.no {
			if re.Match(text) {
				t.Errorf("%q matches %q", tt.expr, text)
			}
		}
		if re.GivenUp() != 0 {
			t.Errorf("%q: %d matches given up", tt.expr, re.GivenUp())
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct {
		expr, reason string
		offset       int
	}{
		{"a[", "[ without ]", 1},
		{"[]", "[ without ]", 0},
		{"[^]", "[ without ]", 0},
		{"[a[b]", "[ without ]", 0},
		{"*", "follows nothing", 0},
		{"a**", "follows nothing", 2},
		{"a|*", "follows nothing", 2},
		{"^*", "follows nothing", 1},
		{"(?i)*", "follows nothing", 4},
		{"a{", "invalid repetition", 1},
		{"a{x}", "invalid repetition", 1},
		{"a{,3}", "invalid repetition", 1},
		{"a{1", "without }", 1},
		{"a{1,2", "without }", 1},
		{"a{2}{3}", "{ follows nothing", 4},
		{"a{3,2}", "below its minimum", 1},
		{"a{999999}", "repetition of more", 7},
		{"(a", "( without )", 0},
		{"*(", "follows nothing", 0},
		{"a)", "unmatched )", 1},
		{`a\`, "backslash at the end", 1},
		{`\y`, "unknown or not supported", 0},
		{`a\E`, "unknown or not supported", 1},
		{`\X`, "unknown or not supported", 0},
		{`\G`, "unknown or not supported", 0},
		{`[\b]`, "unknown or not supported", 1},
		{`[\R]`, "unknown or not supported", 1},
		{`[\1]`, "unknown or not supported", 1},
		{`\b{g}`, "not supported", 0},
		{`\p{Nope}`, "unknown or not supported", 0},
		{`\p{InGreek}`, "unknown or not supported", 0},
		{`\p{Lu`, "without }", 0},
		{`\p`, "without a name", 0},
		{`\u12`, "four hexadecimal", 0},
		{`\x1`, "two hexadecimal", 0},
		{`\x{110000}`, `invalid \x`, 0},
		{"\\u\x10\x11\x12\x13", "four hexadecimal", 0},
		{`\08`, "octal", 0},
		{`\c`, "without a character", 0},
		{`\1`, "group 1, which does not exist", 0},
		{`(a)\2`, "group 2, which does not exist", 3},
		{`\k<x>`, `group "x", which does not exist`, 0},
		{`\kx`, "without <name>", 0},
		{`(?<a>b)(?<a>c)`, "two groups", 7},
		{`(?<1>b)`, "group name", 2},
		{`(?<a`, "group name", 2},
		{`(?U)a`, "not supported", 2},
		{`(?P<a>b)`, "unknown group or flag", 2},
		{`(?#c)`, "unknown group or flag", 2},
		{`(?`, "unknown group", 0},
		{`(?i`, "( without )", 0},
		{"[z-a]", "ends before it starts", 1},
		{`[a-\d]`, "unknown or not supported", 3},
		{"[a&&]", "right side", 4},
		{"[&&a]", "left side", 1},
		{"[a&&&&b]", "left side", 4},
		{strings.Repeat("(", 200), "nested deeper", 100},
		{strings.Repeat("[a", 200), "nested deeper", 200},
		{strings.Repeat(`\p{L}`, 1000), "too large", 0},
		{"((ab){30}){30}{30}", "{ follows nothing", 14},
		{strings.Repeat("(abc|d){1000}", 20), "too large", 0},
		{`(a)\1` + strings.Repeat("(abc|d)", 2000), "too large", 0},
		{"\xff", "UTF-8", 0},
	} {
		_, err := Compile(tt.expr)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Compile(%.40q) = %v, want an *Error", tt.expr, err)
			continue
		}
		if !strings.Contains(e.Reason, tt.reason) || tt.offset != e.Offset && tt.reason != "too large" {
			t.Errorf("Compile(%.40q) = %v, want %s at offset %d", tt.expr, err, tt.reason, tt.offset)
		}
	}
}

func TestCompileParts(t *testing.T) {
	for _, tt := range []struct {
		parts   []string
		yes, no []string
	}{
		{[]string{"a|b", "/.+"}, []string{"a/x", "b/x"}, []string{"a", "b"}},
		{[]string{"a|b", "(?:/.+)?"}, []string{"a", "b", "a/x"}, []string{"ax"}},
		{[]string{`\Qa`, "/.+"}, []string{"a/x"}, []string{"a"}},
		{[]string{"(?i)a", "b"}, []string{"Ab"}, []string{"AB"}},
		{[]string{`(a)\1`, "(?:/.+)?"}, []string{"aa", "aa/x"}, []string{"a"}},
	} {
		re, err := Compile(tt.parts...)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range tt.yes {
			if !re.Match(text) {
				t.Errorf("%q does not match %q", tt.parts, text)
			}
		}
		for _, text := range tt.no {
			if re.Match(text) {
				t.Errorf("%q matches %q", tt.parts, text)
			}
		}
	}
}

func TestLiteralPrefix(t *testing.T) {
	for _, tt := range []struct {
		expr, prefix string
		complete     bool
	}{
		{"abc", "abc", true},
		{`a\.b`, "a.b", true},
		{"ab*", "a", false},
		{"a|b", "", false},
		{"(ab)c.*", "abc", false},
		{"(?i)a", "", false},
		{"^ab$", "ab", true},
	} {
		re, err := Compile(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if prefix, complete := re.LiteralPrefix(); prefix != tt.prefix || complete != tt.complete {
			t.Errorf("LiteralPrefix of %q = %q, %v, want %q, %v", tt.expr, prefix, complete, tt.prefix, tt.complete)
		}
	}
}

func TestMatchesAll(t *testing.T) {
	for expr, want := range map[string][2]bool{ // whole path, segment
		".*": {true, true}, ".+": {true, true}, "^.*$": {true, true}, "(.*)": {true, true}, "(?s).*": {true, true},
		".*?": {true, true}, "[^/]+": {false, true}, "[^/]*": {false, true}, ".": {false, false}, ".{2,}": {false, false},
		"a.*": {false, false}, "(?!a).*": {false, false}, `\w*`: {false, false}, ".{0,9}": {false, false}, `[\s\S]+`: {true, true},
	} {
		re, err := Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{re.MatchesAll(true), re.MatchesAll(false)}; got != want {
			t.Errorf("MatchesAll of %q = %v, want %v", expr, got, want)
		}
	}
}

// Expressions that keep a backtracking engine busy for ever must be given up
// soon, and a series of matches as well.
func TestCatastrophicIsBounded(t *testing.T) {
	hostile := strings.Repeat("a", 40) + "!"
	for _, expr := range []string{
		`(a+)+\1b`, `(a*)*(?!x)b`, `((a|aa)+)+(?=b)b`, `(?=(a+)+b).*`, `(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)\1\2\3x`,
	} {
		re, err := Compile(expr)
		if err != nil {
			t.Fatalf("Compile(%q): %v", expr, err)
		}
		start := time.Now()
		for range 100 {
			if re.Match(hostile) {
				t.Errorf("%q matches", expr)
			}
		}
		if took := time.Since(start); took > time.Minute { // a busy machine takes its share
			t.Errorf("%q: 100 matches took %v", expr, took)
		}
		if re.GivenUp() > maxGivenUp {
			t.Errorf("%q: %d matches given up", expr, re.GivenUp())
		}
	}
}

// The evaluators must agree wherever more than one can evaluate an expression.
func TestEvaluatorsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		expr := randomExpr(rng, 3)
		n, _, err := parse([]string{expr})
		if err != nil {
			t.Fatalf("parse(%q): %v", expr, err)
		}
		re, err := Compile(expr)
		if err != nil {
			t.Fatalf("Compile(%q): %v", expr, err)
		}
		reference := &Regexp{}
		if err := reference.compileBacktrack(n); err != nil {
			t.Fatalf("backtracking form of %q: %v", expr, err)
		}
		var std *regexp.Regexp
		if n.linear(1) {
			std = regexp.MustCompile(`\A(?:` + string(appendRE2(nil, n)) + `)\z`)
		}
		for range 20 {
			text := randomText(rng)
			got, want := re.Match(text), reference.Match(text)
			if std != nil {
				want = std.MatchString(text)
			}
			if got != want || reference.Match(text) != want {
				t.Fatalf("%q on %q: Match = %v, backtracking = %v, want %v", expr, text, got, reference.Match(text), want)
			}
		}
	}
}

func randomText(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.IntN(5) {
		b.WriteString([]string{"a", "b", "ab", "B", "-", "ü", "\n"}[rng.IntN(7)])
	}
	return b.String()
}

func randomExpr(rng *rand.Rand, depth int) string {
	if depth == 0 {
		return []string{"a", "b", ".", `\w`, "[^a]", "[a[b]]", `[\w&&[^b]]`, "(?i:b)", "ü", `\n`, "", `\b`, "^", "$"}[rng.IntN(14)]
	}
	sub := func() string { return randomExpr(rng, depth-1) }
	switch rng.IntN(7) {
	case 0:
		return sub() + "|" + sub()
	case 1:
		return fmt.Sprintf("(%s)%s", sub(), []string{"*", "+", "?", "{2}", "*?", "{1,2}", "++", ""}[rng.IntN(8)])
	case 2:
		return fmt.Sprintf("(?!%s)%s", sub(), sub())
	case 3:
		return fmt.Sprintf("(?=%s)%s", sub(), sub())
	default:
		return sub() + sub()
	}
}

func FuzzCompile(f *testing.F) {
	for _, expr := range []string{
		"a|ab", "[^/]+", `\Qa.b`, "(?i)a", "a++", "(?>a)", `\p{Lower}+`, "(?!a).*", `(a)\1`, "[a-z&&[^aeiou]]", `\uD83D\uDE00`, "a{2,3}?",
		"(?x) a # b", `(?<n>a)\k<n>`, `[\Q]\E-z]`, "((a))*", `\R\h\v`,
	} {
		f.Add(expr, "ab")
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 200 || len(text) > 100 {
			return
		}
		re, err := Compile(expr)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(expr) {
				t.Fatalf("Compile(%q) = %#v", expr, err)
			}
			return
		}
		matched := re.Match(text)
		if prefix, complete := re.LiteralPrefix(); matched && utf8.ValidString(text) &&
			(!strings.HasPrefix(text, prefix) || complete && text != prefix) {
			t.Fatalf("%q matches %q in spite of its prefix %q, %v", expr, text, prefix, complete)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for _, bm := range []struct{ name, expr, text string }{
		{"any", ".*", "eurusd"},
		{"class", `[a-z]+\d*`, "eurusd1"},
		{"suffix", ".*usd", "eurusd"},
		{"regular", "(eur|gbp)(usd|chf)", "eurusd"},
		{"lookahead", "(?!admin).*", "eurusd"},
		{"backreference", `(\w)\w*\1`, "eurusde"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			re, err := Compile(bm.expr)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !re.Match(bm.text) {
					b.Fatal("no match")
				}
			}
		})
	}
}

package removal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func mustParse(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return p
}

// render writes a condition with all parentheses and defaults.
func render(c condition) string {
	since := func(from time.Time) string {
		if from.IsZero() {
			return ""
		}
		return " from " + from.UTC().Format(time.RFC3339)
	}
	join := func(subs []condition, operator string) string {
		var all []string
		for _, sub := range subs {
			all = append(all, render(sub))
		}
		return "(" + strings.Join(all, operator) + ")"
	}
	switch c := c.(type) {
	case timeAfter:
		return "time " + c.date.UTC().Format(time.RFC3339Nano)
	case *subscriptions:
		return fmt.Sprint("subscriptions ", c.fewer, " ", c.period, " ", c.after, since(c.from))
	case *noUpdates:
		return fmt.Sprint("updates ", c.period, " ", c.after, since(c.from))
	case *noSession:
		if c.filter == nil {
			return "creator"
		}
		return fmt.Sprint("session {", c.filter, "} ", c.period, " ", c.after, since(c.from))
	case and:
		return join(c, " and ")
	case or:
		return join(c, " or ")
	}
	return fmt.Sprintf("%T", c)
}

const date = "2030-01-01T00:00:00Z"

func TestParse(t *testing.T) {
	for _, tt := range []struct{ policy, want, selector string }{
		// The examples of 12 section 12.6.
		{"when time after 1893456000000", "time " + date, ""},
		{"when time after 'Tue, 1 Jan 2030 00:00:00 GMT' remove '?sales/2029//'", "time " + date, "?sales/2029//"},
		{"when subscriptions < 1 for 5m", "subscriptions 1 5m0s 0s", ""},
		{"when local subscriptions < 3 for 90s after 2h", "subscriptions 3 1m30s 2h0m0s", ""},
		{"when no updates for 45m after 3d", "updates 45m0s 72h0m0s", ""},
		{"when this session closes", "creator", ""},
		{`when no session has '$Principal is "bob"' for 2m`, "session {$Principal is 'bob'} 2m0s 0s", ""},
		{`when no local session has "$Country is 'GB' and not Desk eq 'fx'" for 1h after 1d`,
			"session {$Country is 'GB' and Desk ne 'fx'} 1h0m0s 24h0m0s", ""},
		{`when time after "Tue, 1 Jan 2030 00:00:00 GMT" and (no updates for 7m or subscriptions < 5 for 20s after 1h)`,
			"(time " + date + " and (updates 7m0s 0s from " + date + " or subscriptions 5 20s 1h0m0s from " + date + "))", ""},
		{`when this session closes remove "?rooms/lobby//"`, "creator", "?rooms/lobby//"},

		{"WHEN Time AFTER 'fri, 01 jan 2030 00:00:00 gmt'", "time " + date, ""},
		{"when time after '1 Jan 2030 01:30:00 +0130'", "time " + date, ""},
		{"when time after 1", "time 1970-01-01T00:00:00.001Z", ""},
		{"\twhen\r\nNO Updates FOR 1S After 2M\n", "updates 1s 2m0s", ""},
		{"when(subscriptions<2 for 0s)and(this session closes)remove'a'", "(subscriptions 2 0s 0s and creator)", ">a"},
		{"when no session has 'all'", "session {all} 0s 0s", ""},
		{"when no session has 'all' after 1H", "session {all} 0s 1h0m0s", ""},
		{"when no session has 'all' or no session has 'all' for 1s or this session closes or this session closes",
			"(session {all} 0s 0s or session {all} 1s 0s or creator or creator)", ""},
		{`when no session has "A is \"b\\\\c\""`, `session {A is 'b\\c'} 0s 0s`, ""},
		{`when this session closes remove '?a/\d+'`, "creator", `?a/\d+`},
		{`when this session closes remove '?a/\\d\''`, "creator", `?a/\d'`},

		// Precedence, and whose periods a date starts.
		{"when this session closes or no updates for 1s and no session has 'all'",
			"(creator or (updates 1s 0s and session {all} 0s 0s))", ""},
		{"when (this session closes or no updates for 1s) and no session has 'all'",
			"((creator or updates 1s 0s) and session {all} 0s 0s)", ""},
		{"when no updates for 1s and (this session closes and time after 1893456000000)",
			"(updates 1s 0s from " + date + " and creator and time " + date + ")", ""},
		{"when no updates for 1s and (no session has 'all' and time after 1893456000000 or subscriptions < 1 for 1s)",
			"(updates 1s 0s and ((session {all} 0s 0s from " + date + " and time " + date + ") or subscriptions 1 1s 0s))", ""},
		{"when no updates for 1s or time after 1893456000000", "(updates 1s 0s or time " + date + ")", ""},
	} {
		p, err := Parse(tt.policy)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.policy, err)
			continue
		}
		selector := ""
		if p.Selector() != nil {
			selector = p.Selector().String()
		}
		if got := render(p.when); got != tt.want || selector != tt.selector || p.String() != tt.policy {
			t.Errorf("Parse(%q)\n got %s, %s\nwant %s, %s", tt.policy, got, selector, tt.want, tt.selector)
		}
		if got, want := p.WatchesUpdates(), strings.Contains(tt.want, "updates"); got != want {
			t.Errorf("%s watches updates = %v", p, got)
		}
	}
}

func TestParseErrors(t *testing.T) {
	deep := strings.Repeat("(", MaxDepth) + "this session closes" + strings.Repeat(")", MaxDepth)
	mustParse(t, "when "+deep)
	for _, tt := range []struct {
		policy string
		offset int
		reason string
	}{
		{"", 0, "expected when, but the policy ends here"},
		{"if this session closes", 0, `expected when, but found "if"`},
		{"when", 4, "expected a condition"},
		{"when é", 5, `found "é"`},
		{"when this session closes,", 24, `expected and, or, remove, or the end of the policy, but found ","`},
		{"when this session closes and", 28, "expected a condition"},
		{"when (this session closes", 25, "expected and, or, or )"},
		{"when this session closes)", 24, "expected and, or, remove"},
		{"when ()", 6, "expected a condition"},
		{"when this session", 17, "expected closes"},
		{"when time 5", 10, "expected after"},
		{"when time after", 15, "expected milliseconds since 1970, or a date in quotes"},
		{"when time after -5", 16, "expected milliseconds"},
		{"when time after 99999999999999999999", 16, "too large"},
		{"when time after 'tomorrow'", 16, "expected a date such as"},
		{"when time after 'Tue, 31 Feb 2030 00:00:00 GMT'", 16, "expected a date such as"},
		{"when time after 'Tue, 1 Jan 2030 00:00:00 EST'", 16, "expected a date such as"},
		{"when time after 'Tue", 16, "this quote is never closed"},
		{"when local updates for 5m", 11, "expected subscriptions"},
		{"when subscriptions > 1 for 5m", 19, "expected <"},
		{"when subscriptions < x for 5m", 21, "expected a number of subscriptions"},
		{"when subscriptions < 9999999999 for 5m", 21, "too large"},
		{"when subscriptions < 1", 22, "expected for"},
		{"when subscriptions < 1 after 5m", 23, "expected for"},
		{"when no updates for 5 m", 20, "expected a period such as"},
		{"when no updates for 5ms", 20, "expected a period such as"},
		{"when no updates for m", 20, "expected a period such as"},
		{"when no updates for 5m after", 28, "expected a period such as"},
		{"when no updates for 200000d", 20, "too long"},
		{"when no updates for 99999999999999999999s", 20, "too long"},
		{"when no topics", 8, "expected updates, session or local session after no"},
		{"when no local updates", 14, "expected session"},
		{"when no session closes", 16, "expected has"},
		{"when no session has all", 20, "expected a session filter in quotes"},
		{"when no session has 'bad'", 20, "invalid session filter: line 1, column 4"},
		{"when no session has ''", 20, "empty filter"},
		{"when this session closes remove", 31, "expected a topic selector in quotes"},
		{"when this session closes remove '?('", 32, "invalid topic selector"},
		{"when this session closes remove 'a' and", 36, "expected the end of the policy"},
		{"when time after 1 or time after 2", 21, "a second time after"},
		{"when subscriptions < 1 for 1s and local subscriptions < 1 for 1s", 34, "a second subscriptions"},
		{"when no updates for 1s or (this session closes and no updates for 1s)", 51, "a second no updates"},
		{"when " + strings.Repeat("this session closes or ", MaxSessionConditions) + "this session closes",
			5 + 23*MaxSessionConditions, "more than 100 conditions on sessions"},
		{"when (" + deep + ")", 6 + MaxDepth, "nested more than"},
		{"when " + strings.Repeat("(", MaxLength-5), 6 + MaxDepth, "nested more than"},
		{strings.Repeat(" ", MaxLength+1), 0, "longer than"},
		{"when no session has '\xff'", 0, "UTF-8"},
	} {
		_, err := Parse(tt.policy)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrInvalid) {
			t.Errorf("Parse(%.60q) = %v, want an error", tt.policy, err)
			continue
		}
		if e.Offset != tt.offset || !strings.Contains(e.Reason, tt.reason) {
			t.Errorf("Parse(%.60q) = %v, want %q at offset %d", tt.policy, err, tt.reason, tt.offset)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"when time after 1893456000000",
		"when time after 'Tue, 1 Jan 2030 00:00:00 GMT' remove '?sales/2029//'",
		"when local subscriptions < 3 for 90s after 2h",
		"when no updates for 45m after 3d",
		"when this session closes",
		`when no local session has "$Country is 'GB' and not Desk eq 'fx'" for 1h after 1d`,
		`when time after "Tue, 1 Jan 2030 00:00:00 GMT" and (no updates for 7m or subscriptions < 5 for 20s after 1h)`,
		`WHEN((this session closes))and no session has 'A is \'x\'' remove "a"`,
		"when", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) {
				t.Fatalf("Parse(%q) = %#v", text, err)
			}
			return
		}
		// Whatever parses can be evaluated.
		s := New(Config{Sessions: &sessions{}, Remove: func(Subject, *Policy) {}})
		w := s.Add(&subject{created: time.Now()}, p, "creator")
		s.round(t.Context())
		s.round(t.Context())
		w.Forget()
		s.round(t.Context())
		if n := len(s.pending) + len(s.filters) + len(s.creators); n != 0 {
			t.Fatalf("%q leaves %d behind", text, n)
		}
	})
}

package selector

import (
	"fmt"
	"strings"
	"testing"
)

func TestCacheShares(t *testing.T) {
	var c Cache
	parse := func(expr string) *Selector {
		t.Helper()
		s, err := c.Parse(expr)
		if err != nil || s.String() != mustParse(t, expr).String() {
			t.Fatalf("Parse(%q) = %v, %v", expr, s, err)
		}
		return s
	}
	for expr, shared := range map[string]bool{
		">a/b": true, "a/b": true, "?a//": true, "?.*//": true, "*.*": true, "#>a////?b/[a-z]+": true,
		`?(a+)+\1/b`:                        false, // may be given up
		">" + strings.Repeat("a", 1000):     false,
		"?" + strings.Repeat("(a|b)x", 200): false,
	} {
		first, second := parse(expr), parse(expr)
		if got := first == second; got != shared {
			t.Errorf("%.40q is shared: %v, want %v", expr, got, shared)
		}
	}
	if _, err := c.Parse("?a/[/b"); err == nil {
		t.Error("parsed what is no selector")
	}
	for i := range 10 * maxCached {
		parse(fmt.Sprintf(">users/%d", i))
		if len(c.selector) > maxCached {
			t.Fatalf("%d selectors are kept", len(c.selector))
		}
	}
}

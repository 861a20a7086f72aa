package filter

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

const (
	// maxPattern is the length in octets of the longest regular expression.
	maxPattern = 4 << 10
	// maxCost bounds the instructions of the regular expressions of one filter.
	maxCost = 20_000
)

// compile compiles a regular expression so that it matches whole values only.
func (p *parser) compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("regular expression longer than %d octets", maxPattern)
	}
	if what := onlyJava(pattern); what != "" {
		return nil, fmt.Errorf("regular expression: %s is not supported", what)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		var e *syntax.Error
		if errors.As(err, &e) {
			return nil, fmt.Errorf("regular expression: %s: %.40q", e.Code, e.Expr)
		}
		return nil, err
	}
	if p.cost += cost(tree); p.cost > maxCost {
		return nil, errors.New("regular expressions too large")
	}
	// The parsed form is balanced and does not end inside a \Q.
	return regexp.Compile(`\A(?:` + tree.String() + `)\z`)
}

// cost returns about how many instructions e compiles to, and counts the ranges
// of its classes.
func cost(e *syntax.Regexp) int {
	n := 1 + len(e.Rune)/2
	for _, sub := range e.Sub {
		n += cost(sub)
		if n > maxCost {
			return n // more must not overflow
		}
	}
	if e.Op == syntax.OpRepeat {
		n *= max(e.Min, e.Max, 1)
	}
	return n
}

// onlyJava returns a construct that Java would take to mean something else than
// the standard library does, or "".
func onlyJava(pattern string) string {
	class := false
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case strings.HasPrefix(rest, `\Q`) && !class:
			end := strings.Index(rest, `\E`)
			if end < 0 {
				return ""
			}
			i += end + 1
		case strings.HasPrefix(rest, `\0`):
			return `the octal escape \0 (write \x{..})`
		case rest[0] == '\\':
			i++
		case class && rest[0] == '[':
			return `a [ inside [...] (write \[)`
		case class && strings.HasPrefix(rest, "&&"):
			return `&& inside [...] (write \&)`
		case rest[0] == '[':
			class = true
			if strings.HasPrefix(rest, "[^") {
				i++
			}
			if strings.HasPrefix(pattern[i+1:], "]") {
				i++ // first in a class, it is a character
			}
		case rest[0] == ']':
			class = false
		}
	}
	return ""
}

package removal

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"advect.dev/internal/filter"
	"advect.dev/internal/selector"
)

type parser struct {
	text   string
	pos    int
	depth  int
	policy *Policy
	dated  bool // there was a timeAfter
}

// parse reads the whole policy. Errors are of type [*Error].
func (p *parser) parse() error {
	if len(p.text) > MaxLength {
		return p.fail(0, "longer than %d octets", MaxLength)
	}
	if !utf8.ValidString(p.text) {
		return p.fail(0, "not valid UTF-8")
	}
	p.skip()
	if err := p.expect("when"); err != nil {
		return err
	}
	var err error
	if p.policy.when, err = p.or(); err != nil {
		return err
	}
	if !p.accept("remove") {
		if p.pos < len(p.text) {
			return p.expected("and, or, remove, or the end of the policy")
		}
		return nil
	}
	start := p.pos
	text, err := p.quoted("a topic selector in quotes")
	if err != nil {
		return err
	}
	if p.policy.selector, err = selector.Parse(text); err != nil {
		return p.fail(start, "%v", err)
	}
	if p.pos < len(p.text) {
		return p.expected("the end of the policy")
	}
	return nil
}

func (p *parser) fail(offset int, format string, args ...any) error {
	return &Error{offset, fmt.Sprintf(format, args...)}
}

// expected says what should stand at the current position, and what does.
func (p *parser) expected(what string) error {
	if p.pos == len(p.text) {
		return p.fail(p.pos, "expected %s, but the policy ends here", what)
	}
	found := p.word()
	if found == "" {
		r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
		found = string(r)
	}
	return p.fail(p.pos, "expected %s, but found %.40q", what, found)
}

func (p *parser) skip() {
	p.pos = len(p.text) - len(strings.TrimLeft(p.text[p.pos:], " \t\r\n"))
}

// word returns the letters and digits that stand here.
func (p *parser) word() string {
	end := p.pos
	for end < len(p.text) {
		c := p.text[end]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			break
		}
		end++
	}
	return p.text[p.pos:end]
}

// take passes n octets and the white space after them.
func (p *parser) take(n int) {
	p.pos += n
	p.skip()
}

// accept passes a keyword, in any letter case, if it stands here.
func (p *parser) accept(keyword string) bool {
	if !strings.EqualFold(p.word(), keyword) {
		return false
	}
	p.take(len(keyword))
	return true
}

func (p *parser) acceptByte(c byte) bool {
	if p.pos == len(p.text) || p.text[p.pos] != c {
		return false
	}
	p.take(1)
	return true
}

// expect passes keywords that must come one after another.
func (p *parser) expect(keywords ...string) error {
	for _, keyword := range keywords {
		if !p.accept(keyword) {
			return p.expected(keyword)
		}
	}
	return nil
}

func (p *parser) or() (condition, error) {
	var all or
	for {
		c, err := p.and()
		if err != nil {
			return nil, err
		}
		if nested, ok := c.(or); ok {
			all = append(all, nested...)
		} else {
			all = append(all, c)
		}
		if !p.accept("or") {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func (p *parser) and() (condition, error) {
	var all and
	for {
		c, err := p.primary()
		if err != nil {
			return nil, err
		}
		if nested, ok := c.(and); ok {
			all = append(all, nested...)
		} else {
			all = append(all, c)
		}
		if !p.accept("and") {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	for _, c := range all {
		if c, ok := c.(timeAfter); ok {
			startFrom(all, c.date)
		}
	}
	return all, nil
}

func (p *parser) primary() (condition, error) {
	if !p.acceptByte('(') {
		return p.condition()
	}
	if p.depth++; p.depth > MaxDepth {
		return nil, p.fail(p.pos, "nested more than %d deep", MaxDepth)
	}
	defer func() { p.depth-- }()
	c, err := p.or()
	if err == nil && !p.acceptByte(')') {
		err = p.expected("and, or, or )")
	}
	return c, err
}

func (p *parser) condition() (condition, error) {
	start := p.pos
	switch {
	case p.accept("time"):
		return p.timeAfter(start)
	case p.accept("local"):
		if err := p.expect("subscriptions"); err != nil {
			return nil, err
		}
		return p.subscriptions(start)
	case p.accept("subscriptions"):
		return p.subscriptions(start)
	case p.accept("this"):
		if err := p.expect("session", "closes"); err != nil {
			return nil, err
		}
		return p.session(start, &noSession{})
	case p.accept("no"):
		if p.accept("updates") {
			return p.noUpdates(start)
		}
		if p.accept("local") || strings.EqualFold(p.word(), "session") {
			return p.noSession(start)
		}
		return nil, p.expected("updates, session or local session after no")
	}
	return nil, p.expected("a condition: time after, subscriptions, no updates, no session, this session closes, or (")
}

func (p *parser) timeAfter(start int) (condition, error) {
	if p.dated {
		return nil, p.fail(start, "a second time after; a policy may have one")
	}
	p.dated = true
	if err := p.expect("after"); err != nil {
		return nil, err
	}
	if p.atQuote() {
		start := p.pos
		text, err := p.quoted("")
		if err != nil {
			return nil, err
		}
		date, ok := parseDate(text)
		if !ok {
			return nil, p.fail(start, "expected a date such as 'Tue, 1 Jan 2030 00:00:00 GMT', but found %.60q", text)
		}
		return timeAfter{date}, nil
	}
	millis, err := p.integer(math.MaxInt64, "milliseconds since 1970, or a date in quotes")
	return timeAfter{time.UnixMilli(millis)}, err
}

// parseDate parses a date as of RFC 1123, with any weekday or none. Zones other
// than GMT are offsets, since names of others are ambiguous.
func parseDate(text string) (time.Time, bool) {
	text = strings.ToUpper(strings.TrimSpace(text))
	for _, layout := range []string{"Mon, 2 Jan 2006 15:04:05 ", "2 Jan 2006 15:04:05 "} {
		for _, zone := range []string{"GMT", "-0700"} {
			if date, err := time.Parse(layout+zone, text); err == nil {
				return date, true
			}
		}
	}
	return time.Time{}, false
}

func (p *parser) subscriptions(start int) (condition, error) {
	if p.policy.subscriptions != nil {
		return nil, p.fail(start, "a second subscriptions condition; a policy may have one")
	}
	c := &subscriptions{}
	p.policy.subscriptions = c
	if !p.acceptByte('<') {
		return nil, p.expected("< after subscriptions")
	}
	n, err := p.integer(math.MaxInt32, "a number of subscriptions")
	if err != nil {
		return nil, err
	}
	c.fewer = int(n)
	c.period, c.after, err = p.periods()
	return c, err
}

func (p *parser) noUpdates(start int) (condition, error) {
	if p.policy.updates != nil {
		return nil, p.fail(start, "a second no updates; a policy may have one")
	}
	c := &noUpdates{}
	p.policy.updates = c
	var err error
	c.period, c.after, err = p.periods()
	return c, err
}

// periods reads "for" period [ "after" period ].
func (p *parser) periods() (period, after time.Duration, err error) {
	if err = p.expect("for"); err != nil {
		return 0, 0, err
	}
	if period, err = p.period(); err != nil {
		return 0, 0, err
	}
	if p.accept("after") {
		after, err = p.period()
	}
	return period, after, err
}

func (p *parser) noSession(start int) (condition, error) {
	if err := p.expect("session", "has"); err != nil {
		return nil, err
	}
	c := &noSession{}
	at := p.pos
	text, err := p.quoted("a session filter in quotes")
	if err != nil {
		return nil, err
	}
	if c.filter, err = filter.Parse(text); err != nil {
		return nil, p.fail(at, "%v", err)
	}
	if p.accept("for") {
		if c.period, err = p.period(); err != nil {
			return nil, err
		}
	}
	if p.accept("after") {
		if c.after, err = p.period(); err != nil {
			return nil, err
		}
	}
	return p.session(start, c)
}

// session adds a condition on sessions to the policy.
func (p *parser) session(start int, c *noSession) (condition, error) {
	if c.index = len(p.policy.sessions); c.index == MaxSessionConditions {
		return nil, p.fail(start, "more than %d conditions on sessions", MaxSessionConditions)
	}
	p.policy.sessions = append(p.policy.sessions, c)
	return c, nil
}

// integer reads a number that is not negative.
func (p *parser) integer(limit int64, what string) (int64, error) {
	word := p.word()
	if word == "" || strings.Trim(word, "0123456789") != "" {
		return 0, p.expected(what)
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n > limit {
		return 0, p.fail(p.pos, "%.40s is too large: at most %d", word, limit)
	}
	p.take(len(word))
	return n, nil
}

var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

func (p *parser) period() (time.Duration, error) {
	const what = "a period such as 90s, 5m, 2h or 3d"
	word := p.word()
	if word == "" {
		return 0, p.expected(what)
	}
	number := word[:len(word)-1]
	unit, ok := units[word[len(word)-1]|0x20] // in lower case
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
		return 0, p.expected(what)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if limit := math.MaxInt64 / int64(unit); err != nil || n > limit {
		return 0, p.fail(p.pos, "%.40s is too long: at most 106751d", word)
	}
	p.take(len(word))
	return time.Duration(n) * unit, nil
}

func (p *parser) atQuote() bool {
	return p.pos < len(p.text) && (p.text[p.pos] == '"' || p.text[p.pos] == '\'')
}

// quoted reads a string in either kind of quotes. A backslash makes a quote or
// another backslash literal, and stands for itself before anything else, so
// that regular expressions may be written as they are.
func (p *parser) quoted(what string) (string, error) {
	if !p.atQuote() {
		return "", p.expected(what)
	}
	quote := p.text[p.pos]
	var b strings.Builder
	for i := p.pos + 1; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == quote:
			p.take(i + 1 - p.pos)
			return b.String(), nil
		case c == '\\' && i+1 < len(p.text) && strings.IndexByte(`\'"`, p.text[i+1]) >= 0:
			i++
			c = p.text[i]
		}
		b.WriteByte(c)
	}
	return "", p.fail(p.pos, "this quote is never closed")
}

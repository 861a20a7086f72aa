package topic

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Range is a range of the newest events of a time series: those that satisfy
// both conditions. The zero Range has no events.
type Range struct {
	Limit int64         // at most so many; NoLimit: any number
	Last  time.Duration // no more than this before the newest event; NoLast: of any age
}

// The conditions that every event satisfies.
const (
	NoLimit int64         = math.MaxInt64
	NoLast  time.Duration = math.MaxInt64
)

// defaultRetained is the range of a topic without TIME_SERIES_RETAINED_RANGE.
var defaultRetained = Range{Limit: 10, Last: NoLast}

const rangeWant = `conditions such as "limit 20", "last 90s" or both, with the units ms, s, m, h and d`

// ParseRange parses a range expression (12 section 12.5). Numbers that are too
// large stand for no limit.
func ParseRange(text string) (Range, error) {
	r := Range{Limit: NoLimit, Last: NoLast}
	bad := func(what string) (Range, error) {
		return Range{}, fmt.Errorf("%s in the range %q: use %s", what, text, rangeWant)
	}
	words := strings.FieldsFunc(text, isSpace)
	if len(words) == 0 {
		return bad("no condition")
	}
	for len(words) > 0 {
		keyword, operand := strings.ToLower(words[0]), ""
		words = words[1:]
		if len(words) > 0 {
			operand, words = strings.ToLower(words[0]), words[1:]
		}
		n, unit, ok := cutNumber(operand)
		switch {
		case keyword != "limit" && keyword != "last":
			return bad("unknown condition")
		case !ok:
			return bad("no number after " + keyword)
		case keyword == "limit" && unit != "":
			return bad("a limit that is not a number")
		case keyword == "limit":
			r.Limit = min(r.Limit, n)
			continue
		}
		if unit == "" && len(words) > 0 {
			unit, words = strings.ToLower(words[0]), words[1:]
		}
		d, ok := durationUnits[unit]
		if !ok || n == 0 {
			return bad("no duration after last")
		}
		if n <= int64(NoLast/d) {
			r.Last = min(r.Last, time.Duration(n)*d)
		}
	}
	return r, nil
}

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// cutNumber splits a word into the decimal number that it starts with, clipped
// to 63 bits, and the rest.
func cutNumber(word string) (n int64, rest string, ok bool) {
	end := 0
	for end < len(word) && '0' <= word[end] && word[end] <= '9' {
		end++
	}
	n, _ = strconv.ParseInt(word[:end], 10, 64) // out of range: the greatest number
	return n, word[end:], end > 0
}

// isSpace reports whether r is white space in expressions (31 section 8).
func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }

// String returns an expression of the range, or "all" for one without conditions.
func (r Range) String() string {
	var words []string
	if r.Limit != NoLimit {
		words = append(words, fmt.Sprintf("limit %d", r.Limit))
	}
	if r.Last != NoLast {
		words = append(words, fmt.Sprintf("last %dms", r.Last.Milliseconds()))
	}
	if words == nil {
		return "all"
	}
	return strings.Join(words, " ")
}

// parseRetained parses a range that must not be empty.
func parseRetained(text string) (Range, error) {
	r, err := ParseRange(text)
	if err == nil && r.Limit == 0 {
		return Range{}, fmt.Errorf("the range %q retains no events: use limit 1 or more", text)
	}
	return r, err
}

// RetainedRange returns the events that a topic of a normalised TIME_SERIES
// specification keeps.
func (s Specification) RetainedRange() Range {
	if text, ok := s.Properties[TimeSeriesRetainedRange]; ok {
		if r, err := parseRetained(text); err == nil {
			return r
		}
	}
	return defaultRetained
}

// SubscriptionRange returns the events that a topic of a normalised TIME_SERIES
// specification sends to a new subscriber. With latest it sends the latest event
// even if that range is empty (10 section 10.9).
func (s Specification) SubscriptionRange() (r Range, latest bool) {
	if text, ok := s.Properties[TimeSeriesSubscriptionRange]; ok {
		r, _ = ParseRange(text) // empty, unless valid
	}
	return r, !s.Bool(PublishValuesOnly)
}

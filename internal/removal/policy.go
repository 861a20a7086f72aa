package removal

import (
	"errors"
	"fmt"
	"time"

	"advect.dev/internal/filter"
	"advect.dev/internal/selector"
)

const (
	// MaxLength is the length in octets of the longest policy accepted.
	MaxLength = 64 << 10
	// MaxDepth is how deeply parentheses may be nested.
	MaxDepth = 100
	// MaxSessionConditions is how many conditions on sessions a policy may have.
	MaxSessionConditions = 100
)

// ErrInvalid is matched by every error of [Parse].
var ErrInvalid = errors.New("invalid removal policy")

// An Error says what is wrong with a policy, and where. It matches [ErrInvalid].
type Error struct {
	Offset int // in octets
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%v: at offset %d: %s", ErrInvalid, e.Offset, e.Reason)
}

// Unwrap returns [ErrInvalid].
func (e *Error) Unwrap() error { return ErrInvalid }

// A Policy is a parsed removal policy. It is immutable, safe for concurrent use,
// and may be shared by any number of topics.
type Policy struct {
	text          string
	when          condition
	selector      *selector.Selector
	subscriptions *subscriptions // the one in when, or nil
	updates       *noUpdates     // the one in when, or nil
	sessions      []*noSession   // those in when, each at its index
}

// Parse parses the value of the REMOVAL topic property. Errors are of type [*Error].
func Parse(text string) (*Policy, error) {
	p := &parser{text: text, policy: &Policy{text: text}}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return p.policy, nil
}

// String returns p as it was written.
func (p *Policy) String() string { return p.text }

// Selector returns what is to be removed, or nil if that is the topic with the policy.
func (p *Policy) Selector() *selector.Selector { return p.selector }

// WatchesUpdates reports whether p depends on Subject.LastUpdate. The owner of
// other topics need not record it.
func (p *Policy) WatchesUpdates() bool { return p.updates != nil }

// The conditions of a policy. A from that is not zero is the date from which
// periods count at the earliest: that of a timeAfter joined to the condition by
// and (12 section 12.6). The field after is the time since the creation of the
// topic before which a condition is not evaluated.
type (
	timeAfter struct{ date time.Time }

	subscriptions struct {
		fewer         int // than this many
		period, after time.Duration
		from          time.Time
	}

	noUpdates struct {
		period, after time.Duration
		from          time.Time
	}

	// noSession without filter speaks of the session that created the topic.
	noSession struct {
		index         int // in Policy.sessions
		filter        *filter.Filter
		period, after time.Duration
		from          time.Time
	}

	and []condition // none of them an and
	or  []condition // none of them an or
)

// startFrom sets the date from which the periods of c count.
func startFrom(c condition, date time.Time) {
	switch c := c.(type) {
	case *subscriptions:
		c.from = date
	case *noUpdates:
		c.from = date
	case *noSession:
		if c.filter != nil {
			c.from = date
		}
	case and:
		for _, sub := range c {
			startFrom(sub, date)
		}
	case or:
		for _, sub := range c {
			startFrom(sub, date)
		}
	}
}

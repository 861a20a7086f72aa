package alert

import (
	"errors"
	"fmt"
	"strings"

	"advect.dev/internal/topic"
)

const (
	// MaxLength is the length in octets of the longest specification accepted.
	MaxLength = 16 << 10
	// MaxDepth is how deeply parentheses may be nested.
	MaxDepth = 50
)

// ErrInvalid is matched by every error of [Parse].
var ErrInvalid = errors.New("invalid metric alert")

// An Error says what is wrong with a specification, and where. It matches
// [ErrInvalid].
type Error struct {
	Offset int // in octets
	Line   int // from 1
	Column int // from 1, in characters
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%v: line %d, column %d: %s", ErrInvalid, e.Line, e.Column, e.Reason)
}

// Unwrap returns [ErrInvalid].
func (e *Error) Unwrap() error { return ErrInvalid }

// A Specification says which samples of a metric an alert is about and what to do
// with them.
type Specification struct {
	Metric string // name of a collection or of samples
	Server string // "": any
	Topic  topic.Specification

	path  template
	where condition // nil: always
	until condition // nil: the alert is never disabled
}

// Path returns the path of the topic for a document. It returns false when the
// document lacks what is to be inserted.
func (s *Specification) Path(d *Document) (string, bool) { return s.path.fill(d) }

// Matches reports whether the condition holds of a document.
func (s *Specification) Matches(d *Document) bool { return s.where == nil || s.where.holds(d) }

// Disables reports whether the alert is silent after it was triggered, until
// Enables.
func (s *Specification) Disables() bool { return s.until != nil }

// Enables reports whether a document ends that silence.
func (s *Specification) Enables(d *Document) bool { return s.until.holds(d) }

// A template is a path with insertions. Texts and pointers take turns, beginning
// and ending with a text.
type template struct{ texts, pointers []string }

func (t *template) fill(d *Document) (string, bool) {
	var b strings.Builder
	for i, text := range t.texts {
		b.WriteString(text)
		if i < len(t.pointers) {
			value, ok := d.text(t.pointers[i])
			if !ok {
				return "", false
			}
			b.WriteString(value)
		}
	}
	return b.String(), true
}

// Parse parses a specification. Errors are of type [*Error].
func Parse(text string) (*Specification, error) {
	p := &parser{text: text}
	s, err := p.alert()
	if err != nil {
		err.Line, err.Column = place(text, err.Offset)
		return nil, err
	}
	return s, nil
}

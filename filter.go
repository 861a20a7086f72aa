package advect

import (
	"errors"
	"fmt"
	"strings"

	"advect.dev/internal/service"
)

// ErrInvalidFilter is matched by the error of every method that is given something
// that is not a session filter. It is a [*ScriptError].
var ErrInvalidFilter = errors.New("invalid session filter")

// ErrInvalidScript is matched by the error of every method that is given a script
// or a specification that the server does not take. It is a [*ScriptError].
var ErrInvalidScript = errors.New("invalid script")

// A ScriptError says what is wrong with a session filter or a script, and where.
// It matches [ErrInvalidFilter] or [ErrInvalidScript].
type ScriptError struct {
	Reports []ErrorReport // at least one
	kind    error
}

// An ErrorReport is one mistake. Line and Column count from 1; columns are
// characters.
type ErrorReport struct {
	Message      string
	Line, Column int
}

// String returns "line:column: message".
func (r ErrorReport) String() string { return fmt.Sprintf("%d:%d: %s", r.Line, r.Column, r.Message) }

// Error returns all reports.
func (e *ScriptError) Error() string {
	texts := make([]string, len(e.Reports))
	for i, r := range e.Reports {
		texts[i] = r.String()
	}
	return e.kind.Error() + ": " + strings.Join(texts, "; ")
}

// Unwrap returns the error that says whether it is a filter or a script.
func (e *ScriptError) Unwrap() error { return e.kind }

// filterError and scriptError return the error of reports, or nil if there are
// none.
func filterError(reports service.Errors) error { return reportsError(ErrInvalidFilter, reports) }
func scriptError(reports service.Errors) error { return reportsError(ErrInvalidScript, reports) }

func reportsError(kind error, reports service.Errors) error {
	if len(reports) == 0 {
		return nil
	}
	e := &ScriptError{kind: kind, Reports: make([]ErrorReport, len(reports))}
	for i, r := range reports {
		e.Reports[i] = ErrorReport{r.Message, int(r.Line), int(r.Column)}
	}
	return e
}

var filterEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`)

// FilterString returns text as a string of the session filter language, in quotes,
// so that whatever it holds is taken literally:
//
//	filter := "$Principal is " + advect.FilterString(name)
func FilterString(text string) string { return "'" + filterEscapes.Replace(text) + "'" }

package topic

import (
	"errors"
	"strings"
)

var errOwner = errors.New(`use $Principal is "name"`)

// ParseOwner returns the principal that an OWNER property names, which is never
// empty: anonymous sessions own nothing (12 section 12.3).
func ParseOwner(text string) (principal string, err error) {
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(text, isSpace), "$Principal")
	words := strings.TrimLeftFunc(rest, isSpace)
	if !ok || len(words) == len(rest) || len(words) < len("is") || !strings.EqualFold(words[:2], "is") {
		return "", errOwner
	}
	quoted := strings.TrimFunc(words[2:], isSpace)
	if quoted == "" || quoted[0] != '"' && quoted[0] != '\'' {
		return "", errOwner
	}
	var name strings.Builder
	for i := 1; i < len(quoted); i++ {
		switch c := quoted[i]; {
		case c == quoted[0] && i == len(quoted)-1 && name.Len() > 0:
			return name.String(), nil
		case c == quoted[0]:
			return "", errOwner
		case c == '\\':
			if i++; i < len(quoted) {
				name.WriteByte(quoted[i])
			}
		default:
			name.WriteByte(c)
		}
	}
	return "", errOwner
}

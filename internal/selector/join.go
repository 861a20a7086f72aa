package selector

import "strings"

// Join returns the one expression that stands for several in a request, as
// clients build it (protocol 13 section 3): a single expression gets the > it
// may lack, several become a set. Regular expressions are not looked at.
func Join(exprs ...string) (string, error) {
	if len(exprs) != 1 {
		return JoinSet(exprs...)
	}
	s, err := parse(exprs[0])
	if err != nil {
		return "", err
	}
	return s.expr, nil
}

// JoinSet is [Join] for a list: the result is a set even for one expression,
// the empty one for none.
func JoinSet(exprs ...string) (string, error) {
	var members []*member
	for _, expr := range exprs {
		s, err := parse(expr)
		if err != nil {
			return "", err
		}
		for _, m := range s.members {
			if at := strings.Index(m.expr, separator); at >= 0 {
				return "", &Error{expr, at, "a selector with //// cannot be in a set"}
			}
		}
		members = append(members, s.members...)
	}
	joined := joinMembers(members)
	if len(joined) > MaxLength || len(members) > MaxMembers {
		return "", &Error{joined, len(joined), "too long together"}
	}
	return joined, nil
}

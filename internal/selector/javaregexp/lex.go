package javaregexp

// A token is one character of an expression with quoting resolved.
type token struct {
	r      rune
	kind   tokenKind
	offset int // in octets, of the start of the token
}

type tokenKind uint8

const (
	plain   tokenKind = iota
	escaped           // r followed a backslash
	quoted            // r stood between \Q and \E
)

func (t token) is(r rune) bool { return t.kind == plain && t.r == r }

// lex splits expr into tokens. It fails on a backslash at the end.
func lex(expr string) ([]token, error) {
	toks := make([]token, 0, len(expr))
	quoting, backslash := false, -1
	for i, r := range expr {
		switch {
		case backslash >= 0:
			switch {
			case quoting && r == 'E':
				quoting = false
			case quoting && r == '\\':
				toks = append(toks, token{'\\', quoted, backslash})
				backslash = i
				continue
			case quoting:
				toks = append(toks, token{'\\', quoted, backslash}, token{r, quoted, i})
			case r == 'Q':
				quoting = true
			default:
				toks = append(toks, token{r, escaped, backslash})
			}
			backslash = -1
		case r == '\\':
			backslash = i
		case quoting:
			toks = append(toks, token{r, quoted, i})
		default:
			toks = append(toks, token{r, plain, i})
		}
	}
	if backslash >= 0 {
		if !quoting {
			return nil, &Error{Expr: expr, Offset: backslash, Reason: "backslash at the end"}
		}
		toks = append(toks, token{'\\', quoted, backslash})
	}
	return toks, nil
}

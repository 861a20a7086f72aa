package selector

import (
	"strings"

	"advect.dev/internal/topic"
)

const metacharacters = "*.+?^${}()[]|"

// patternPrefix returns the literal segments that a pattern starts with
// (protocol 13 section 4), read from its text alone, as clients do.
func patternPrefix(base string) string {
	var b strings.Builder
	complete := 0 // length of the whole segments in b
	quoting, backslash := false, false
	for _, r := range base {
		switch {
		case quoting && backslash && r == 'E':
			quoting, backslash = false, false
			continue
		case quoting && backslash:
			b.WriteByte('\\')
			backslash = false
		case backslash && r == 'Q':
			quoting, backslash = true, false
			continue
		case backslash && isASCIILetter(r):
			return topic.Canonical(b.String()[:complete])
		case backslash:
			backslash = false
			b.WriteRune(r)
			continue
		}
		switch {
		case r == '\\':
			backslash = true
			continue
		case r == '/':
			complete = b.Len()
		case !quoting && strings.ContainsRune(metacharacters, r):
			return topic.Canonical(b.String()[:complete])
		}
		b.WriteRune(r)
	}
	if backslash {
		if !quoting {
			return topic.Canonical(b.String()[:complete])
		}
		b.WriteByte('\\')
	}
	return topic.Canonical(b.String())
}

func isASCIILetter(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// commonPrefix returns the leading segments that the prefixes of members share.
func commonPrefix(members []*member) string {
	if len(members) == 0 {
		return ""
	}
	common := members[0].prefix
	for _, m := range members[1:] {
		common = commonSegments(common, m.prefix)
	}
	return common
}

func commonSegments(a, b string) string {
	end := 0
	for i := 0; ; i++ {
		aEnds, bEnds := i == len(a) || a[i] == '/', i == len(b) || b[i] == '/'
		switch {
		case aEnds && bEnds:
			end = i
			if i == len(a) || i == len(b) {
				return a[:end]
			}
		case aEnds || bEnds || a[i] != b[i]:
			return a[:end]
		}
	}
}

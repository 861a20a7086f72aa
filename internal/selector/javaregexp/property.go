package javaregexp

import (
	"strings"
	"sync"
	"unicode"
)

// posixSets are the US-ASCII classes of \p{name}.
var posixSets = map[string]runeSet{
	"Lower":  {'a', 'z'},
	"Upper":  {'A', 'Z'},
	"ASCII":  {0, 0x7f},
	"Alpha":  asciiLetterSet,
	"Digit":  digitSet,
	"Alnum":  {'0', '9', 'A', 'Z', 'a', 'z'},
	"Punct":  asciiPunctSet,
	"Graph":  asciiVisibleSet,
	"Print":  {' ', '~'},
	"Blank":  {'\t', '\t', ' ', ' '},
	"Cntrl":  {0, 0x1f, 0x7f, 0x7f},
	"XDigit": {'0', '9', 'A', 'F', 'a', 'f'},
	"Space":  spaceSet,
	"L1":     {0, 0xff},
	"all":    allRunes,
}

var (
	alphabetic = []*unicode.RangeTable{unicode.L, unicode.Nl, unicode.Other_Alphabetic}
	lowercase  = []*unicode.RangeTable{unicode.Ll, unicode.Other_Lowercase}
	uppercase  = []*unicode.RangeTable{unicode.Lu, unicode.Other_Uppercase}
	titlecase  = []*unicode.RangeTable{unicode.Lt}
	ideograph  = []*unicode.RangeTable{unicode.Ideographic}
	isoControl = runeSet{0, 0x1f, 0x7f, 0x9f}
)

// binaryTables are the properties of \p{IsName}, lower case.
var binaryTables = map[string][]*unicode.RangeTable{
	"alphabetic":              alphabetic,
	"ideographic":             ideograph,
	"letter":                  {unicode.L},
	"lowercase":               lowercase,
	"uppercase":               uppercase,
	"titlecase":               titlecase,
	"punctuation":             {unicode.P},
	"control":                 {unicode.Cc},
	"digit":                   {unicode.Nd},
	"alnum":                   {unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.Nd},
	"white_space":             {unicode.White_Space},
	"whitespace":              {unicode.White_Space},
	"hex_digit":               {unicode.Hex_Digit},
	"hexdigit":                {unicode.Hex_Digit},
	"join_control":            {unicode.Join_Control},
	"joincontrol":             {unicode.Join_Control},
	"noncharacter_code_point": {unicode.Noncharacter_Code_Point},
	"noncharactercodepoint":   {unicode.Noncharacter_Code_Point},
}

// javaTables are the properties of \p{javaName}, from java.lang.Character.
var javaTables = map[string][]*unicode.RangeTable{
	"LowerCase":     lowercase,
	"UpperCase":     uppercase,
	"Alphabetic":    alphabetic,
	"Ideographic":   ideograph,
	"TitleCase":     titlecase,
	"Digit":         {unicode.Nd},
	"Letter":        {unicode.L},
	"LetterOrDigit": {unicode.L, unicode.Nd},
	"SpaceChar":     {unicode.Z},
}

// caseless are the names that stand for any letter case once case is ignored.
var caseless = map[string]bool{
	"Lu": true, "Ll": true, "Lt": true, "IsLu": true, "IsLl": true, "IsLt": true,
	"islowercase": true, "isuppercase": true, "istitlecase": true,
	"javaLowerCase": true, "javaUpperCase": true, "javaTitleCase": true,
}

// propertySet resolves the name in \p{name}. With foldCase it is the set that
// Java uses under (?i). The result is false for a name that is unknown or not supported.
func propertySet(name string, foldCase bool) (runeSet, bool) {
	if foldCase {
		if caseless[name] || caseless[strings.ToLower(name)] {
			return fromTable(unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase), true
		}
		if name == "Lower" || name == "Upper" {
			return asciiLetterSet, true
		}
	}
	if set, ok := posixSets[name]; ok {
		return set, true
	}
	if key, value, ok := strings.Cut(name, "="); ok {
		switch strings.ToLower(key) {
		case "sc", "script":
			return scriptSet(value)
		case "gc", "general_category":
			return categorySet(value)
		}
		return nil, false
	}
	if rest, ok := strings.CutPrefix(name, "java"); ok {
		return javaSet(rest)
	}
	if rest, ok := strings.CutPrefix(name, "Is"); ok {
		if tables, ok := binaryTables[strings.ToLower(rest)]; ok {
			return fromTable(tables...), true
		}
		if strings.EqualFold(rest, "assigned") {
			return assignedRunes(), true
		}
		if set, ok := categorySet(rest); ok {
			return set, true
		}
		return scriptSet(rest)
	}
	return categorySet(name)
}

func javaSet(name string) (runeSet, bool) {
	switch name {
	case "Defined":
		return assignedRunes(), true
	case "ISOControl":
		return isoControl, true
	case "Whitespace":
		noBreak := runeSet{0xa0, 0xa0, 0x2007, 0x2007, 0x202f, 0x202f}
		return fromTable(unicode.Z).intersect(noBreak.negate()).union(runeSet{'\t', '\r', 0x1c, 0x1f}), true
	}
	tables, ok := javaTables[name]
	return fromTable(tables...), ok
}

func categorySet(name string) (runeSet, bool) {
	switch name {
	case "LD":
		return fromTable(unicode.L, unicode.Nd), true
	case "LC":
		return fromTable(unicode.Lu, unicode.Ll, unicode.Lt), true
	case "Cn":
		return assignedRunes().negate(), true
	case "C":
		return assignedRunes().negate().union(fromTable(unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)), true
	}
	if len(name) == 0 || len(name) > 2 {
		return nil, false
	}
	table, ok := unicode.Categories[name]
	if !ok {
		return nil, false
	}
	return fromTable(table), true
}

func scriptSet(name string) (runeSet, bool) {
	for script, table := range unicode.Scripts {
		if strings.EqualFold(script, name) {
			return fromTable(table), true
		}
	}
	return nil, false
}

var assignedRunes = sync.OnceValue(func() runeSet {
	return fromTable(unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z,
		unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)
})

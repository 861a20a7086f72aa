package datatype

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustPatch(t testing.TB, text string) *Patch {
	t.Helper()
	p, err := ParsePatch([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// patchCase is a document, a patch and the outcome: a document, or the index of
// the operation that cannot be applied.
type patchCase struct {
	name, doc, patch string
	want             string // JSON text; empty if an operation fails
	failed           int
	reason           string
}

// rfcCases are the examples of RFC 6902 appendix A, by number.
var rfcCases = []patchCase{
	{name: "A.1 add an object member", doc: `{"foo":"bar"}`,
		patch: `[{"op":"add","path":"/baz","value":"qux"}]`, want: `{"foo":"bar","baz":"qux"}`},
	{name: "A.2 add an array element", doc: `{"foo":["bar","baz"]}`,
		patch: `[{"op":"add","path":"/foo/1","value":"qux"}]`, want: `{"foo":["bar","qux","baz"]}`},
	{name: "A.3 remove an object member", doc: `{"baz":"qux","foo":"bar"}`,
		patch: `[{"op":"remove","path":"/baz"}]`, want: `{"foo":"bar"}`},
	{name: "A.4 remove an array element", doc: `{"foo":["bar","qux","baz"]}`,
		patch: `[{"op":"remove","path":"/foo/1"}]`, want: `{"foo":["bar","baz"]}`},
	{name: "A.5 replace a value", doc: `{"baz":"qux","foo":"bar"}`,
		patch: `[{"op":"replace","path":"/baz","value":"boo"}]`, want: `{"baz":"boo","foo":"bar"}`},
	{name: "A.6 move a value", doc: `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`,
		patch: `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`, want: `{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`},
	{name: "A.7 move an array element", doc: `{"foo":["all","grass","cows","eat"]}`,
		patch: `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, want: `{"foo":["all","cows","eat","grass"]}`},
	{name: "A.8 test a value: success", doc: `{"baz":"qux","foo":["a",2,"c"]}`,
		patch: `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`, want: `{"baz":"qux","foo":["a",2,"c"]}`},
	{name: "A.9 test a value: error", doc: `{"baz":"qux"}`,
		patch: `[{"op":"test","path":"/baz","value":"bar"}]`, reason: `test "/baz": another value is there`},
	{name: "A.10 add a nested member object", doc: `{"foo":"bar"}`,
		patch: `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, want: `{"foo":"bar","child":{"grandchild":{}}}`},
	{name: "A.11 ignore unrecognized elements", doc: `{"foo":"bar"}`,
		patch: `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, want: `{"foo":"bar","baz":"qux"}`},
	{name: "A.12 add to a nonexistent target", doc: `{"foo":"bar"}`,
		patch: `[{"op":"add","path":"/baz/bat","value":"qux"}]`, reason: `add "/baz/bat": there is no array or object to add to`},
	// A.13, a repeated member, is in TestParsePatchErrors.
	{name: "A.14 ~ escape ordering", doc: `{"/":9,"~1":10}`,
		patch: `[{"op":"test","path":"/~01","value":10}]`, want: `{"/":9,"~1":10}`},
	{name: "A.15 compare strings and numbers", doc: `{"/":9,"~1":10}`,
		patch: `[{"op":"test","path":"/~01","value":"10"}]`, reason: "another value is there"},
	{name: "A.16 add an array value", doc: `{"foo":["bar"]}`,
		patch: `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, want: `{"foo":["bar",["abc","def"]]}`},
}

var edgeCases = []patchCase{
	{name: "nothing", doc: `[1]`, patch: `[]`, want: `[1]`},
	{name: "add the whole", doc: `[1]`, patch: `[{"op":"add","path":"","value":{"a":1}}]`, want: `{"a":1}`},
	{name: "replace the whole", doc: `[1]`, patch: `[{"op":"replace","path":"","value":"x"}]`, want: `"x"`},
	{name: "remove the whole", doc: `[1]`, patch: `[{"op":"remove","path":""}]`, reason: "the whole document cannot be removed"},
	{name: "test the whole", doc: `{"a":[]}`, patch: `[{"op":"test","path":"","value":{"a":[]}}]`, want: `{"a":[]}`},
	{name: "copy the whole", doc: `{"a":1}`, patch: `[{"op":"copy","from":"","path":"/b"}]`, want: `{"a":1,"b":{"a":1}}`},
	{name: "copy to the whole", doc: `{"a":[7]}`, patch: `[{"op":"copy","from":"/a","path":""}]`, want: `[7]`},
	{name: "move to the whole", doc: `{"a":[7]}`, patch: `[{"op":"move","from":"/a","path":""}]`, want: `[7]`},
	{name: "move the whole to itself", doc: `1`, patch: `[{"op":"move","from":"","path":""}]`, want: `1`},
	{name: "move the whole", doc: `{"a":1}`, patch: `[{"op":"move","from":"","path":"/a"}]`, reason: `move "" to "/a": a value cannot be moved into itself`},
	{name: "move to the same place", doc: `{"a":1,"b":2}`, patch: `[{"op":"move","from":"/a","path":"/a"}]`, want: `{"a":1,"b":2}`},
	{name: "move nothing to the same place", doc: `{}`, patch: `[{"op":"move","from":"/a","path":"/a"}]`, reason: `nothing is there`},
	{name: "move into a child", doc: `{"a":{"b":1}}`, patch: `[{"op":"move","from":"/a","path":"/a/b/c"}]`, reason: "into itself"},
	{name: "move to a name that begins alike", doc: `{"a":1}`, patch: `[{"op":"move","from":"/a","path":"/ab"}]`, want: `{"ab":1}`},
	{name: "move over another", doc: `{"a":1,"b":2}`, patch: `[{"op":"move","from":"/a","path":"/b"}]`, want: `{"b":1}`},
	{name: "move from array to object", doc: `{"a":[1,2],"o":{}}`, patch: `[{"op":"move","from":"/a/0","path":"/o/x"}]`, want: `{"a":[2],"o":{"x":1}}`},
	{name: "move the last element to its index", doc: `[1,2,3]`, patch: `[{"op":"move","from":"/0","path":"/2"}]`, want: `[2,3,1]`},
	{name: "move beyond what is left", doc: `[1,2,3]`, patch: `[{"op":"move","from":"/0","path":"/3"}]`, reason: "the array has only 2 elements"},
	{name: "move up", doc: `{"a":{"b":{"c":1}}}`, patch: `[{"op":"move","from":"/a/b","path":"/a"}]`, want: `{"a":{"c":1}}`},
	{name: "copy into itself", doc: `{"a":{}}`, patch: `[{"op":"copy","from":"/a","path":"/a/a"}]`, want: `{"a":{"a":{}}}`},
	{name: "copy null", doc: `{"a":null}`, patch: `[{"op":"copy","from":"/a","path":"/b"}]`, want: `{"a":null,"b":null}`},
	{name: "copy nothing", doc: `{}`, patch: `[{"op":"copy","from":"/a","path":"/b"}]`, reason: `copy "/a" to "/b": nothing is there`},
	{name: "add over", doc: `{"a":1,"b":2}`, patch: `[{"op":"add","path":"/a","value":[null]}]`, want: `{"a":[null],"b":2}`},
	{name: "add first", doc: `[1]`, patch: `[{"op":"add","path":"/0","value":0}]`, want: `[0,1]`},
	{name: "add at the end", doc: `[1]`, patch: `[{"op":"add","path":"/1","value":2}]`, want: `[1,2]`},
	{name: "add beyond the end", doc: `[1]`, patch: `[{"op":"add","path":"/2","value":3}]`, reason: "the array has only 1 elements"},
	{name: "add to an empty array", doc: `[]`, patch: `[{"op":"add","path":"/-","value":1},{"op":"add","path":"/-","value":2}]`, want: `[1,2]`},
	{name: "add at a bad index", doc: `[1]`, patch: `[{"op":"add","path":"/01","value":0}]`, reason: "not an index"},
	{name: "add at a word", doc: `[1]`, patch: `[{"op":"add","path":"/a","value":0}]`, reason: "not an index"},
	{name: "add to a number", doc: `1`, patch: `[{"op":"add","path":"/a","value":0}]`, reason: "no array or object"},
	{name: "add below -", doc: `[[]]`, patch: `[{"op":"add","path":"/-/0","value":0}]`, reason: "no array or object"},
	{name: "index as a key", doc: `{"0":{"1":2}}`, patch: `[{"op":"replace","path":"/0/1","value":3},{"op":"add","path":"/7","value":4}]`, want: `{"0":{"1":3},"7":4}`},
	{name: "- as a key", doc: `{}`, patch: `[{"op":"add","path":"/-","value":1},{"op":"copy","from":"/-","path":"/x"}]`, want: `{"-":1,"x":1}`},
	{name: "- selects nothing", doc: `[1]`, patch: `[{"op":"remove","path":"/-"}]`, reason: `remove "/-": nothing is there`},
	{name: "empty key", doc: `{"":1}`, patch: `[{"op":"test","path":"/","value":1},{"op":"add","path":"//","value":1}]`, failed: 1, reason: "no array or object"},
	{name: "lone ~", doc: `{"a~":1}`, patch: `[{"op":"replace","path":"/a~","value":2},{"op":"test","path":"/a~0","value":2}]`, want: `{"a~":2}`},
	{name: "escapes in new keys", doc: `{}`, patch: `[{"op":"add","path":"/a~1b~0","value":1}]`, want: `{"a/b~":1}`},
	{name: "replace nothing", doc: `{"a":1}`, patch: `[{"op":"replace","path":"/b","value":1}]`, reason: "nothing is there"},
	{name: "remove nothing", doc: `[1]`, patch: `[{"op":"remove","path":"/0"},{"op":"remove","path":"/0"}]`, failed: 1, reason: "nothing is there"},
	{name: "test nothing", doc: `{}`, patch: `[{"op":"test","path":"/a","value":null}]`, reason: "nothing is there"},
	{name: "test null", doc: `{"a":null}`, patch: `[{"op":"test","path":"/a","value":null}]`, want: `{"a":null}`},
	{name: "test order of elements", doc: `[1,2]`, patch: `[{"op":"test","path":"","value":[2,1]}]`, reason: "another value"},
	{name: "test order of keys", doc: `{"a":1,"b":2}`, patch: `[{"op":"test","path":"","value":{"b":2,"a":1}}]`, reason: "another value"},
	{name: "test number form", doc: `{"a":1.0}`, patch: `[{"op":"test","path":"/a","value":1.0},{"op":"test","path":"/a","value":1}]`, failed: 1, reason: "another value"},
	{name: "test a shorter array", doc: `[1]`, patch: `[{"op":"test","path":"","value":[1,2]}]`, reason: "another value"},
	{name: "test a longer object", doc: `{"a":1,"b":2}`, patch: `[{"op":"test","path":"","value":{"a":1}}]`, reason: "another value"},
	{name: "all or nothing", doc: `{"a":1}`, patch: `[{"op":"remove","path":"/a"},{"op":"test","path":"/a","value":1}]`, failed: 1, reason: "nothing is there"},
	{name: "members in another order", doc: `{}`, patch: `[{"value":{"x":[1]},"path":"/a","op":"add"}]`, want: `{"a":{"x":[1]}}`},
	{name: "members that are not needed", doc: `{"a":1}`, patch: `[{"op":"remove","path":"/a","from":3,"value":4}]`, want: `{}`},
	{name: "unicode", doc: `{"ü":1}`, patch: `[{"op":"move","from":"/\u00fc","path":"/\ud834\udd1e"}]`, want: `{"𝄞":1}`},
	{name: "deeper than any document", doc: `{}`, patch: `[{"op":"add","path":"` + strings.Repeat("/a", 513) + `","value":1}]`, reason: "nothing is there"},
}

func TestPatch(t *testing.T) {
	for _, tt := range append(rfcCases, edgeCases...) {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := ParseJSON([]byte(tt.doc))
			if err != nil {
				t.Fatal(err)
			}
			before := bytes.Clone(doc.Bytes())
			got, err := mustPatch(t, tt.patch).Apply(doc)
			if !bytes.Equal(doc.Bytes(), before) {
				t.Fatalf("the document became %x", doc.Bytes())
			}
			if tt.want != "" {
				want, parseErr := ParseJSON([]byte(tt.want))
				if parseErr != nil {
					t.Fatal(parseErr)
				}
				if err != nil || !got.Equal(want) {
					t.Fatalf("got %v, %v, want %s", got, err, tt.want)
				}
				return
			}
			var failed *PatchError
			if !errors.As(err, &failed) || failed.Operation != tt.failed || !strings.Contains(failed.Reason, tt.reason) {
				t.Errorf("got %v, %v, want operation %d to fail: %s", got, err, tt.failed, tt.reason)
			}
		})
	}
}

// What is not changed keeps its bytes, and containers keep their form.
func TestPatchBytes(t *testing.T) {
	for _, tt := range []struct{ name, doc, patch, want string }{
		{"definite map grows", "a1" + "616101", `[{"op":"add","path":"/b","value":[1]}]`, "a2" + "616101" + "6162" + "9f01ff"},
		{"definite array grows past a short head", "97" + strings.Repeat("00", 23), `[{"op":"add","path":"/0","value":1}]`,
			"9818" + "01" + strings.Repeat("00", 23)},
		{"definite array shrinks", "82" + "1801" + "1a00000002", `[{"op":"remove","path":"/0"}]`, "81" + "1a00000002"},
		{"long head becomes short", "9b0000000000000001" + "f90000", `[{"op":"add","path":"/-","value":1.5}]`, "82" + "f90000" + "fb3ff8000000000000"},
		{"only the inner map changes", "bf" + "6161" + "b90001" + "616201" + "6163" + "b801" + "6164fa00000000" + "ff", `[{"op":"remove","path":"/a/b"}]`,
			"bf" + "6161" + "a0" + "6163" + "b801" + "6164fa00000000" + "ff"},
		{"replace leaves counts", "9801" + "00", `[{"op":"replace","path":"/0","value":1}]`, "9801" + "01"},
		{"copied as it is", "bf" + "6161" + "9801" + "c11802" + "ff", `[{"op":"copy","from":"/a","path":"/b"}]`,
			"bf" + "6161" + "9801" + "c11802" + "6162" + "9801" + "c11802" + "ff"},
		{"moved as it is", "82" + "5f4101ff" + "80", `[{"op":"move","from":"/0","path":"/0/0"}]`, ""},
		{"moved into another", "82" + "5f4101ff" + "80", `[{"op":"move","from":"/0","path":"/0/-"}]`, ""},
		{"below a tag", "c1c2" + "81" + "c300", `[{"op":"add","path":"/0","value":1},{"op":"replace","path":"/1","value":2}]`, "c1c2" + "82" + "01" + "02"},
		{"key that is not text", "a2" + "01" + "02" + "f5" + "03", `[{"op":"replace","path":"/1","value":9},{"op":"remove","path":"/true"}]`, "a1" + "01" + "09"},
		{"the last of equal keys is replaced", "a3" + "616101" + "616202" + "616103", `[{"op":"replace","path":"/a","value":4}]`, "a3" + "616101" + "616202" + "616104"},
		{"all of equal keys are removed", "a4" + "616101" + "616202" + "616103" + "616104", `[{"op":"remove","path":"/a"}]`, "a1" + "616202"},
		{"the last of equal keys is moved", "bf" + "616101" + "616103" + "ff", `[{"op":"move","from":"/a","path":"/b"}]`, "bf" + "616203" + "ff"},
		{"below the last of equal keys", "a2" + "6161a1616201" + "616105", `[{"op":"add","path":"/a/b","value":1}]`, ""},
		{"test forms of length", "a2" + "6161" + "9a00000002" + "1801" + "7f617861" + "79ff" + "7a0000000162" + "80",
			`[{"op":"test","path":"","value":{"a":[1,"xy"],"b":[]}},{"op":"replace","path":"","value":0}]`, "00"},
		{"test float width", "f93c00", `[{"op":"test","path":"","value":1.0}]`, ""},
		{"test tag", "c101", `[{"op":"test","path":"","value":1}]`, ""},
		{"test undefined", "f7", `[{"op":"test","path":"","value":null}]`, ""},
		{"test bytes", "4161", `[{"op":"test","path":"","value":"a"}]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := unhex(t, tt.doc)
			if err := skipAll(doc); err != nil {
				t.Fatal(err)
			}
			got, err := mustPatch(t, tt.patch).Apply(JSONFromBytes(doc))
			var failed *PatchError
			if tt.want == "" && errors.As(err, &failed) {
				return
			}
			if err != nil || hex.EncodeToString(got.Bytes()) != tt.want {
				t.Errorf("got  %x, %v\nwant %s", got.Bytes(), err, tt.want)
			}
			if hex.EncodeToString(doc) != tt.doc {
				t.Errorf("the document became %x", doc)
			}
		})
	}
}

func TestParsePatchErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{``, "invalid JSON patch: parse JSON: unexpected end of JSON input"},
		{`[{"op":"remove"`, "unexpected end"},
		{`{}`, "it is not an array of operations"},
		{`null`, "it is not an array of operations"},
		{`[1]`, "operation 0: it is an integer, not an object"},
		{`[{"op":"remove","path":"/a"},{}]`, `operation 1: it has no "op"`},
		{`[{"op":1,"path":"/a"}]`, `its "op" is not a text`},
		{`[{"op":null,"path":"/a"}]`, `its "op" is not a text`},
		{`[{"op":"Add","path":"/a","value":1}]`, `unknown operation "Add": use add, remove`},
		{`[{"op":"remove"}]`, `it has no "path"`},
		{`[{"op":"remove","path":7}]`, `its "path" is not a text`},
		{`[{"op":"remove","path":"a"}]`, `its "path" is not a JSON pointer: "a" does not start with /`},
		{`[{"op":"add","path":"/a"}]`, `it has no "value"`},
		{`[{"op":"test","path":"/a"}]`, `it has no "value"`},
		{`[{"op":"replace","path":"/a"}]`, `it has no "value"`},
		{`[{"op":"move","path":"/a"}]`, `it has no "from"`},
		{`[{"op":"copy","path":"/a","from":"b"}]`, `its "from" is not a JSON pointer`},
		{`[{"op":"copy","path":"/a","from":{}}]`, `its "from" is not a text`},
		{`[{"op":"add","path":"/baz","value":"qux","op":"remove"}]`, `repeats the key "op"`}, // RFC 6902 A.13
		{`[{"op":"add","path":"/a","value":1e999}]`, "beyond the range"},
	} {
		_, err := ParsePatch([]byte(tt.text))
		if !errors.Is(err, ErrInvalidPatch) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestPatchInvalidDocument(t *testing.T) {
	p := mustPatch(t, `[{"op":"add","path":"/a","value":1}]`)
	for _, doc := range []string{"bf", "a1", "bfff00", "ff", "1c", "bff600ff" /* null as a key */} {
		if got, err := p.Apply(JSONFromBytes(unhex(t, doc))); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v, want ErrInvalid", doc, got, err)
		}
	}
	if _, err := mustPatch(t, `[]`).Apply(JSONFromBytes([]byte{0x9f})); !errors.Is(err, ErrInvalid) {
		t.Errorf("empty patch: %v", err)
	}
}

func TestPatchLimits(t *testing.T) {
	failsAt := func(t *testing.T, err error, operation int, reason string) {
		t.Helper()
		var failed *PatchError
		if !errors.As(err, &failed) || failed.Operation != operation || !strings.Contains(failed.Reason, reason) {
			t.Errorf("got %v, want operation %d to fail: %s", err, operation, reason)
		}
	}
	t.Run("copies", func(t *testing.T) { // each doubles the document
		p := mustPatch(t, `[`+strings.Repeat(`{"op":"copy","from":"","path":"/-"},`, 99)+`{"op":"test","path":"","value":0}]`)
		_, err := p.ApplyLimit(MustJSON([]any{}), 1000)
		failsAt(t, err, 8, "larger than 1000 bytes")
	})
	t.Run("usual", func(t *testing.T) {
		p := mustPatch(t, `[{"op":"copy","from":"/0","path":"/-"},{"op":"copy","from":"/0","path":"/-"}]`)
		_, err := p.Apply(MustJSON([]string{strings.Repeat("x", maxPatched/3)}))
		failsAt(t, err, 1, "larger than 16777216 bytes")
	})
	t.Run("exact", func(t *testing.T) {
		p := mustPatch(t, `[{"op":"add","path":"/-","value":1}]`)
		if _, err := p.ApplyLimit(MustJSON([]int{}), 3); err != nil {
			t.Error(err)
		}
		_, err := p.ApplyLimit(MustJSON([]int{}), 2)
		failsAt(t, err, 0, "larger than 2 bytes")
		if _, err := mustPatch(t, `[{"op":"remove","path":"/0"},{"op":"replace","path":"/0","value":2}]`).ApplyLimit(MustJSON([]int{1, 2, 3}), 0); err != nil {
			t.Errorf("does not grow: %v", err)
		}
	})
	t.Run("depth", func(t *testing.T) {
		half := JSONFromBytes([]byte(strings.Repeat("\x9f", 300) + strings.Repeat("\xff", 300)))
		_, err := mustPatch(t, `[{"op":"copy","from":"/0","path":"`+strings.Repeat("/0", 300)+`"}]`).Apply(half)
		failsAt(t, err, 0, "nested deeper")
		deep := JSONFromBytes([]byte(strings.Repeat("\x9f", 511) + "\x00" + strings.Repeat("\xff", 511)))
		pointer := strings.Repeat("/0", 511)
		got, err := mustPatch(t, `[{"op":"replace","path":"`+pointer+`","value":[0]}]`).Apply(deep)
		if err != nil || skipAll(got.Bytes()) != nil {
			t.Errorf("512 levels: %v", err)
		}
		_, err = mustPatch(t, `[{"op":"replace","path":"`+pointer+`","value":[[]]}]`).Apply(deep)
		failsAt(t, err, 0, "nested deeper")
	})
	t.Run("work", func(t *testing.T) {
		doc := JSONFromBytes([]byte("\x82\x7a\x00\xff\xff\xff" + strings.Repeat("x", 0xffffff) + "\x00")) // 16 MiB, read at once
		p := mustPatch(t, `[`+strings.Repeat(`{"op":"test","path":"/1","value":0},`, 99)+`{"op":"test","path":"/1","value":0}]`)
		_, err := p.Apply(doc)
		failsAt(t, err, 15, "too much work")
	})
}

// Documents and pointers that would cost a careless implementation time in
// proportion to the square of their length.
func TestPatchHostile(t *testing.T) {
	const n = 200_000
	start := time.Now()
	for _, tt := range []struct{ name, doc, pointer string }{
		{"repeated keys", "\xbf" + strings.Repeat("\x61a\xa0", n) + "\xff", "/a/" + strings.Repeat("~1", n)},
		{"repeated keys removed", "\xbf" + strings.Repeat("\x61a\x00", n) + "\xff", "/a"},
		{"nested maps", strings.Repeat("\xa1\x60", 511) + "\x9f" + strings.Repeat("\x00", n) + "\xff", strings.Repeat("/", 511) + "/0"},
		{"many tokens", "\xa0", strings.Repeat("/", n)},
		{"tags", strings.Repeat("\xc1", n) + "\xa0", "/a"},
		{"chunks", "\xa1\x7f" + strings.Repeat("\x60", n) + "\xff\x00", "/a"},
	} {
		doc := JSONFromBytes([]byte(tt.doc))
		for _, op := range []string{"remove", "add", "test"} {
			p := mustPatch(t, fmt.Sprintf(`[{"op":%q,"path":%q,"value":0}]`, op, tt.pointer))
			if got, err := p.Apply(doc); err == nil && skipAll(got.Bytes()) != nil {
				t.Errorf("%s: %s makes bytes that are not well formed", tt.name, op)
			}
		}
		doc.Get(tt.pointer)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

// A document, a value in it, and operations that undo each other.
func TestPatchProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, err := ParseJSON([]byte(drawJSON(t, 3)))
		if err != nil {
			t.Fatal(err)
		}
		pointers := pointersOf(t, doc)
		pointer := rapid.SampledFrom(pointers).Draw(t, "pointer")
		value := drawJSON(t, 2)
		part, ok := doc.Get(pointer)
		if !ok {
			t.Fatalf("%v has nothing at %q", doc, pointer)
		}
		apply := func(text string, args ...any) JSON {
			p, err := ParsePatch(fmt.Appendf(nil, text, args...))
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Apply(doc)
			if err != nil {
				t.Fatalf("%v: "+text+": %v", append(append([]any{doc}, args...), err)...)
			}
			return got
		}
		apply(`[{"op":"test","path":%q,"value":%s}]`, pointer, part)
		changed := apply(`[{"op":"replace","path":%q,"value":%s}]`, pointer, value)
		if got, _ := changed.Get(pointer); got.String() != value {
			t.Fatalf("%v after replacing %q by %s: %v", doc, pointer, value, got)
		}
		back := apply(`[{"op":"replace","path":%q,"value":%s},{"op":"replace","path":%q,"value":%s}]`, pointer, value, pointer, part)
		if !back.Equal(doc) {
			t.Fatalf("%v came back as %v", doc, back)
		}
		if pointer == "" {
			return
		}
		// Whatever is not at, above or below the pointer keeps its bytes.
		for _, other := range pointers {
			if strings.HasPrefix(pointer+"/", other+"/") || strings.HasPrefix(other+"/", pointer+"/") {
				continue
			}
			was, _ := doc.Get(other)
			if is, ok := changed.Get(other); !ok || !is.Equal(was) {
				t.Fatalf("%v: %q changed with %q", doc, other, pointer)
			}
		}
		in := pointer[:strings.LastIndexByte(pointer, '/')]
		if whole, _ := doc.Get(in); whole.Bytes()[0] == cborOpenArray {
			again := apply(`[{"op":"add","path":%q,"value":%s},{"op":"remove","path":%q}]`, pointer, value, pointer)
			if !again.Equal(doc) {
				t.Fatalf("%v after adding at %q and removing: %v", doc, pointer, again)
			}
		}
	})
}

// drawJSON draws a document as compact JSON text.
func drawJSON(t *rapid.T, depth int) string {
	kinds := 4
	if depth == 0 {
		kinds = 2
	}
	var parts []string
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom([]string{"0", "-7", "1000000", "1.5", "true", "null"}).Draw(t, "scalar")
	case 1:
		return fmt.Sprintf("%q", rapid.StringMatching(`[a-z]{0,30}`).Draw(t, "text"))
	case 2:
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			parts = append(parts, drawJSON(t, depth-1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	for _, key := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c0-2/~]{0,2}`), 0, 4, rapid.ID).Draw(t, "keys") {
		parts = append(parts, fmt.Sprintf("%q:%s", key, drawJSON(t, depth-1)))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// pointersOf returns the pointers to everything in doc.
func pointersOf(t interface{ Fatal(...any) }, doc JSON) []string {
	var v any
	if err := json.Unmarshal([]byte(doc.String()), &v); err != nil {
		t.Fatal(err)
	}
	var pointers []string
	var walk func(v any, at string)
	walk = func(v any, at string) {
		pointers = append(pointers, at)
		switch v := v.(type) {
		case []any:
			for i, e := range v {
				walk(e, fmt.Sprint(at, "/", i))
			}
		case map[string]any:
			for key, e := range v {
				walk(e, at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
			}
		}
	}
	walk(v, "")
	return pointers
}

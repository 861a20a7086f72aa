package advect_test

import (
	"fmt"
	"strings"
	"testing"

	"advect.dev"
	"advect.dev/advecttest"
)

func TestBranches(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "admin").Topics()
	for _, path := range []string{"b/x", "b/x/1", "b/x/2", "b/x/3/4", "b/y", "b/z.+/1/2/3", "b/z.+/1-", "bb", "b"} {
		if _, err := topics.Add(ctx, path, advect.NewSpecification(advect.JSON)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2500 { // more than two pages
		if _, err := topics.Add(ctx, fmt.Sprintf("wide/%04d/x", i), advect.NewSpecification(advect.Int64)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path  string
		limit int
		want  string
	}{
		{"", 5, "b JSON 5+, bb JSON 1, wide topic 5+"},
		{"", 2499, "b JSON 8, bb JSON 1, wide topic 2499+"},
		{"", 2500, "b JSON 8, bb JSON 1, wide topic 2500"},
		{"/b/", 3, "b/x JSON 3+, b/y JSON 1, b/z.+ topic 2"},
		{"b", 0, "b/x JSON 1+, b/y JSON 1, b/z.+ topic 1+"},
		{"b/z.+", 3, "b/z.+/1 topic 1, b/z.+/1- JSON 1"},
		{"none", 3, ""},
	} {
		var got []string
		for b, err := range topics.Branches(ctx, c.path, c.limit) {
			if err != nil {
				t.Fatal(err)
			}
			kind, more := "topic", ""
			if b.Type != 0 {
				kind = b.Type.String()
			}
			if b.More {
				more = "+"
			}
			got = append(got, fmt.Sprint(b.Path, " ", kind, " ", b.Topics, more))
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("branches of %q up to %d: %s, want %s", c.path, c.limit, got, c.want)
		}
	}
	n := 0
	for b, err := range topics.Branches(ctx, "wide", 1) {
		if err != nil || b.Topics != 1 || b.More {
			t.Fatalf("branch %+v %v", b, err)
		}
		n++
	}
	if n != 2500 {
		t.Errorf("%d branches of wide", n)
	}
}

package tree

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
)

// TestScope compares a scope, short and long, with the list that defines it.
func TestScope(t *testing.T) {
	var pool []*selector.Selector
	for i := range 60 {
		for _, expression := range []string{">a/%d", "?a/%d//", "#>a/%d////?b/.*", "?(a|b)/%d.*"} {
			pool = append(pool, sel(t, fmt.Sprintf(expression, i)))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var s scope
		var want []selection
		steps := rapid.IntRange(0, 300).Draw(t, "steps")
		for range steps {
			e := selection{rapid.SampledFrom(pool).Draw(t, "selector"), rapid.Bool().Draw(t, "selects")}
			same := func(o selection) bool { return o.selector.String() == e.selector.String() }
			at := s.find(e.selector.String())
			if (at >= 0) != slices.ContainsFunc(want, same) {
				t.Fatalf("%q found at %d", e.selector, at)
			}
			if at >= 0 {
				s.remove(at)
			}
			want = slices.DeleteFunc(want, same)
			if rapid.IntRange(0, 3).Draw(t, "adds") > 0 {
				s.add(e)
				want = append(want, e)
			}
		}
		if s.live != len(want) {
			t.Fatalf("%d live entries, want %d", s.live, len(want))
		}
		for i := range 60 {
			for _, path := range []string{fmt.Sprint("a/", i), fmt.Sprintf("a/%d/c", i), fmt.Sprint("b/", i)} {
				if s.selects(path) != selects(want, path) {
					t.Fatalf("%q: selected %v, want %v", path, s.selects(path), selects(want, path))
				}
			}
		}
	})
}

// TestManySelections has a client with more selections than fit in a plain list go
// through what is done with them.
func TestManySelections(t *testing.T) {
	const n = 5 * indexFrom
	tr, p := New(Config{}), newPicture(t)
	c := NewClient(p)
	path := func(i int) string { return fmt.Sprint("a/", i) }
	for i := range n {
		add(t, tr, path(i), "1")
		for range 2 { // the same again changes nothing
			if err := subscribe(tr, c, sel(t, ">"+path(i)), ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if c.Subscriptions() != n || tr.selections.index.Len() != n {
		t.Errorf("%d subscriptions and %d selections in the index, want %d", c.Subscriptions(), tr.selections.index.Len(), n)
	}
	for i := range n - 1 {
		if err := tr.Unsubscribe(c, sel(t, ">"+path(i)), "", service.Requested); err != nil {
			t.Fatal(err)
		}
	}
	if c.Subscriptions() != 1 || tr.selections.index.Len() != 1 {
		t.Errorf("%d subscriptions and %d selections are left, want 1", c.Subscriptions(), tr.selections.index.Len())
	}
	if err := subscribe(tr, c, sel(t, "?a//"), ""); err != nil || c.Subscriptions() != n {
		t.Errorf("a selection of all gives %d subscriptions, %v", c.Subscriptions(), err)
	}
	if err := tr.Unsubscribe(c, sel(t, ">"+path(n-1)), "", service.Requested); err != nil || c.Subscriptions() != n-1 {
		t.Errorf("a deselection after it leaves %d subscriptions, %v", c.Subscriptions(), err)
	}
	tr.Close(c)
	if c.size != 0 || tr.selections.index.Len() != 0 {
		t.Errorf("%d octets and %d selections of a closed client are left", c.size, tr.selections.index.Len())
	}
}

// TestSelections has the selections that a client is said to have decide as those
// that it made do.
func TestSelections(t *testing.T) {
	sink := newPicture(t)
	var pool []*selector.Selector
	paths := []string{"a/0", "a/1", "a/0/b", "a/1/b", "c"}
	for _, expression := range []string{">a/0", ">a/1", "?a/[01]", "?a//", "?.*//", "#>a/0////?a/1/.*", ">c"} {
		pool = append(pool, sel(t, expression))
	}
	rapid.Check(t, func(t *rapid.T) {
		tree := New(Config{})
		c := NewClient(sink)
		made := map[string][]selection{}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			e := selection{rapid.SampledFrom(pool).Draw(t, "selector"), rapid.Bool().Draw(t, "selects")}
			scope := rapid.SampledFrom([]string{"", "s"}).Draw(t, "scope")
			made[scope] = append(made[scope], e)
			if e.selects {
				if _, err := tree.Subscribe(c, e.selector, scope); err != nil {
					t.Fatal(err)
				}
			} else if err := tree.Unsubscribe(c, e.selector, scope, service.ByControl); err != nil {
				t.Fatal(err)
			}
		}
		got, _ := c.Selections()
		for scope, changes := range got {
			if len(changes) == 0 || changes[0].Kind != service.Selected {
				t.Fatalf("scope %q: %v begins with nothing selected", scope, changes)
			}
		}
		for _, scope := range []string{"", "s"} {
			var said []selection
			for _, change := range got[scope] {
				s, err := selector.Parse(change.Selector)
				if err != nil {
					t.Fatal(err)
				}
				said = append(said, selection{s, change.Kind == service.Selected})
			}
			for _, path := range paths {
				if selects(said, path) != selects(made[scope], path) {
					t.Fatalf("scope %q, %s: %v, made %v", scope, path, got[scope], made[scope])
				}
			}
		}
	})
}

package tree

import (
	"fmt"
	"strings"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// TestLongPaths checks that no path can be so deep that walking it uses up the
// stack, which would end the process.
func TestLongPaths(t *testing.T) {
	tr := New(Config{})
	path := strings.Repeat("a/", 10<<20) + "a"
	if _, err := addTopic(tr, path, topic.Specification{Type: topic.JSON}); err == nil {
		t.Fatalf("a path of %d segments was accepted", strings.Count(path, "/")+1)
	}
	path = path[len(path)-maxPath+1:]
	if _, err := addTopic(tr, path, topic.Specification{Type: topic.JSON}); err != nil {
		t.Fatal(err)
	}
	if n := tr.Remove(sel(t, ">"+path), func(*Topic) bool { return true }); n != 1 || len(tr.order.chunks) != 0 {
		t.Errorf("removed %d topics, %d chunks are left", n, len(tr.order.chunks))
	}
}

// TestSelectionsAreBounded checks that neither many selections nor many
// deselections nor long ones make the server hold more and more.
func TestSelectionsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	for name, change := range map[string]func(*Tree, *Client, int) error{
		"selections": func(tr *Tree, c *Client, i int) error { return subscribe(tr, c, sel(t, ">"+fmt.Sprint(long, i)), "") },
		"deselections": func(tr *Tree, c *Client, i int) error {
			return tr.Unsubscribe(c, sel(t, ">"+fmt.Sprint(long, i)), "", service.Requested)
		},
		"in all scopes": func(tr *Tree, c *Client, i int) error {
			return tr.UnsubscribeAll(c, sel(t, ">"+fmt.Sprint(long, i)), service.Requested)
		},
		"scopes": func(tr *Tree, c *Client, i int) error { return subscribe(tr, c, sel(t, "a"), fmt.Sprint(long, i)) },
	} {
		tr, p := New(Config{}), newPicture(t)
		add(t, tr, "a", "1")
		c := NewClient(p)
		if err := subscribe(tr, c, sel(t, "a"), ""); err != nil {
			t.Fatal(err)
		}
		var err error
		for i := 0; err == nil && i < 1000; i++ {
			err = change(tr, c, i)
		}
		if err == nil {
			t.Errorf("%s: a session can make the server hold %d octets", name, 1000*len(long))
		}
		if c.size > maxSelections {
			t.Errorf("%s: %d octets", name, c.size)
		}
		if err := tr.UnsubscribeAll(c, sel(t, "?.*//"), service.Requested); err != nil || c.size != 0 || len(p.values) != 0 {
			t.Errorf("%s: unsubscribing from everything: %v, %d octets and %d topics are left", name, err, c.size, len(p.values))
		}
	}
}

// TestLargeSpecificationsAreNotKept checks that specifications which topics
// share for good are small.
func TestLargeSpecificationsAreNotKept(t *testing.T) {
	tr := New(Config{})
	for i := range 10 {
		spec := topic.Specification{Type: topic.JSON, Properties: map[string]string{"x": fmt.Sprint(strings.Repeat("y", 1<<20), i)}}
		if _, err := addTopic(tr, "a", spec); err != nil {
			t.Fatal(err)
		}
		tr.Remove(sel(t, "a"), func(*Topic) bool { return true })
	}
	if n := tr.specs.count.Load(); n != 0 {
		t.Errorf("%d specifications of a megabyte are kept without topics", n)
	}
}

package tree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"advect.dev/internal/service"
)

func remove(tr *Tree, path string) {
	if n := tr.Get(path); n != nil {
		tr.RemoveTopic(n)
	}
}

// TestNotifications follows the table of 25 section 4, row by row. Steps are +path,
// -path, a selector to select, or one after a ! to deselect.
func TestNotifications(t *testing.T) {
	for name, c := range map[string]struct {
		steps string
		want  string
	}{
		"documented example":              {"+a/b +a/c +a/c/d +a/e/f/g >a", "below SELECTED a/b, below SELECTED a/c, below SELECTED a/e/f/g"},
		"the worked flow":                 {"?path/ >descendant +path/json +path/json/child +descendant/child !?path/", "ADDED path/json, ADDED path/json/child, below ADDED descendant/child, DESELECTED path/json, DESELECTED path/json/child"},
		"the worked flow, the branch":     {"?path// +path/json +path/json/child !?path//", "ADDED path/json, ADDED path/json/child, DESELECTED path/json, DESELECTED path/json/child"},
		"added, direct":                   {">a +a", "ADDED a"},
		"added, descendant":               {">a +a/b/c", "below ADDED a/b/c"},
		"added, hidden":                   {">a +a/b +a/b/c", "below ADDED a/b"},
		"added, hidden far above":         {">a +a/b +a/b/c/d/e", "below ADDED a/b"},
		"added, elsewhere":                {">a +b +ab +b/a", ""},
		"removed, direct":                 {">a +a -a", "ADDED a, REMOVED a"},
		"removed, descendant":             {">a +a/b -a/b", "below ADDED a/b, below REMOVED a/b"},
		"removed, hidden":                 {">a +a/b +a/b/c -a/b/c", "below ADDED a/b"},
		"removed, hid another":            {">a +a/b +a/b/c +a/b/c/d +a/b/x/y -a/b", "below ADDED a/b, below REMOVED a/b, below ADDED a/b/c, below ADDED a/b/x/y"},
		"removed, hid a selected one":     {">a >a/b/c +a/b +a/b/c +a/b/c/d -a/b", "below ADDED a/b, ADDED a/b/c, below ADDED a/b/c/d, below REMOVED a/b"},
		"removed, hidden itself":          {">a +a/b +a/b/c +a/b/c/d -a/b/c", "below ADDED a/b"},
		"removed, selected":               {"?a// +a/b +a/b/c -a/b", "ADDED a/b, ADDED a/b/c, REMOVED a/b"},
		"added above":                     {">a +a/b/c +a/b", "below ADDED a/b/c, below ADDED a/b"},
		"selected, in order":              {"+a-x +a/c +a/b +a ?.*//", "SELECTED a, SELECTED a/b, SELECTED a/c, SELECTED a-x"},
		"selected, in order of both":      {"+a/x/1 +a/y +a/z/1/2 #>a////>a/y", "below SELECTED a/x/1, SELECTED a/y, below SELECTED a/z/1/2"},
		"selected again":                  {"+a ?a// ?a//", "SELECTED a"},
		"selected by another":             {"+a +a/b ?a// >a/b", "SELECTED a, SELECTED a/b"},
		"descendant, then selected":       {"+a/b >a >a/b", "below SELECTED a/b, SELECTED a/b"},
		"selected, then as descendant":    {"+a/b >a/b >a", "SELECTED a/b"},
		"selecting uncovers":              {"+a/b +a/b/c >a >a/b", "below SELECTED a/b, SELECTED a/b, below SELECTED a/b/c"},
		"deselected":                      {"+a +b *.* !>a", "SELECTED a, SELECTED b, DESELECTED a"},
		"deselected, descendants":         {"+a/b >a !>a", "below SELECTED a/b, below DESELECTED a/b"},
		"deselected, covered by another":  {"+a/b >a/b >a !>a/b", "SELECTED a/b, DESELECTED a/b"},
		"deselected, then added":          {"?a// !>a/b +a/b +a/c", "below ADDED a/b, ADDED a/c"},
		"deselected, not selected before": {"+a !>a +b", ""},
		"everything deselected":           {"+a +b/c ?a// >b !?.*//", "SELECTED a, below SELECTED b/c, DESELECTED a, below DESELECTED b/c"},
		"everything, then again":          {"?a// !*.* +a *.*", "SELECTED a"},
		"another specification":           {">a +a -a +a", "ADDED a, REMOVED a, ADDED a"},
		"a prefix is no branch":           {"*a/b|a/bc +a/b +a/bc", "ADDED a/b, ADDED a/bc"},
		"set of nothing":                  {"# +a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr, heard := New(Config{}), newRecorder()
			l := NewListener(heard)
			for step := range strings.FieldsSeq(c.steps) {
				var err error
				switch path := step[1:]; step[0] {
				case '+':
					add(t, tr, path, "1")
				case '-':
					remove(tr, path)
				case '!':
					err = tr.Unlisten(l, sel(t, path))
				default:
					err = tr.Listen(l, sel(t, step))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(heard.take(), ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			tr.CloseListener(l)
			add(t, tr, "a", "2")
			tr.Remove(sel(t, "?.*//"), func(*Topic) bool { return true })
			if err := tr.Listen(l, sel(t, "?.*//")); err != nil {
				t.Error(err)
			}
			if got := heard.take(); len(got) != 0 || tr.listeners.index.Len() != 0 {
				t.Errorf("after closing: %q, %d selections are indexed", got, tr.listeners.index.Len())
			}
		})
	}
}

// TestUpdatesAreNoNotifications checks that values tell listeners nothing.
func TestUpdatesAreNoNotifications(t *testing.T) {
	tr, heard := New(Config{}), newRecorder()
	_ = tr.Listen(NewListener(heard), sel(t, "?.*//"))
	add(t, tr, "a", "1")
	add(t, tr, "a", "2")
	_ = set(tr, "a", text.Type, null, &service.Constraint{})
	if got := heard.take(); !slices.Equal(got, []string{"ADDED a"}) {
		t.Errorf("got %q", got)
	}
}

// TestListenersSeeWhatTheyMayRead checks that topics which may not be read are not
// spoken of. They hide others nevertheless.
func TestListenersSeeWhatTheyMayRead(t *testing.T) {
	tr, heard := New(Config{}), newRecorder()
	heard.denied = func(path string) bool { return strings.HasSuffix(path, "secret") }
	l := NewListener(heard)
	add(t, tr, "a/secret", "1")
	_ = tr.Listen(l, sel(t, "?a//"))
	_ = tr.Listen(l, sel(t, ">b"))
	for _, path := range []string{"a/open", "a/secret/open", "b/secret", "b/secret/open"} {
		add(t, tr, path, "1")
	}
	remove(tr, "a/secret")
	remove(tr, "b/secret")
	_ = tr.Unlisten(l, sel(t, "?.*//"))
	want := []string{"ADDED a/open", "ADDED a/secret/open", "below ADDED b/secret/open", "DESELECTED a/open", "DESELECTED a/secret/open", "below DESELECTED b/secret/open"}
	if got := heard.take(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestListenersAreBounded checks that a listener can hold only so much.
func TestListenersAreBounded(t *testing.T) {
	tr := New(Config{})
	add(t, tr, "a", "1")
	l := NewListener(newRecorder())
	_ = tr.Listen(l, sel(t, "a"))
	long := strings.Repeat("x", 40<<10)
	for _, change := range []func(*Listener, int) error{
		func(l *Listener, i int) error { return tr.Listen(l, sel(t, fmt.Sprint(">", long, i))) },
		func(l *Listener, i int) error { return tr.Unlisten(l, sel(t, fmt.Sprint(">", long, i))) },
	} {
		var err error
		for i := 0; err == nil && i < 1000; i++ {
			err = change(l, i)
		}
		if err == nil || l.size > maxSelections {
			t.Errorf("a listener holds %d octets, %v", l.size, err)
		}
		if err := tr.Unlisten(l, sel(t, "?.*//")); err != nil || l.size != 0 || tr.listeners.index.Len() != 0 {
			t.Errorf("%v, %d octets and %d selections are left", err, l.size, tr.listeners.index.Len())
		}
		_ = tr.Listen(l, sel(t, "a"))
	}
}

// balance is a listener's sink that keeps what it was told is there, and complains
// of beginnings and ends that do not match. What is reported now directly and now
// as a descendant has no balance, so it counts only one of them.
type balance struct {
	t       *testing.T
	name    string
	counts  coverage
	covered map[string]*Topic // guarded by the lock of the listeners
}

func (b *balance) Event(kind service.TopicEventKind, n *Topic) { b.event(kind, direct, n) }

func (b *balance) Descendant(kind service.TopicEventKind, n *Topic) { b.event(kind, descendant, n) }

func (b *balance) CanRead(*Topic) bool { return true }

func (b *balance) event(kind service.TopicEventKind, c coverage, n *Topic) {
	if c != b.counts {
		return
	}
	was := b.covered[n.path]
	switch kind {
	case service.TopicAdded, service.TopicSelected:
		if was != nil {
			b.t.Errorf("%s: %v %s, which is there", b.name, kind, n.path)
		}
		b.covered[n.path] = n
	default:
		if was != n {
			b.t.Errorf("%s: %v %s, which is not there", b.name, kind, n.path)
		}
		delete(b.covered, n.path)
	}
}

// TestNotificationsBalance has topics come and go while listeners select and
// deselect. Every beginning has one end, and in the end each listener was told of
// exactly what it covers.
func TestNotificationsBalance(t *testing.T) {
	tr := New(Config{})
	path := func(r *rand.Rand) string { return fmt.Sprintf("t/%d/%d", r.IntN(8), r.IntN(150)) }
	var topics, listeners sync.WaitGroup
	done := make(chan struct{})
	for i := range 3 {
		topics.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for {
				select {
				case <-done:
					return
				default:
				}
				if p := path(r); r.IntN(3) == 0 {
					remove(tr, p)
				} else {
					add(t, tr, p, "1")
				}
			}
		})
	}
	var all []*Listener
	for i, expressions := range [][]string{
		{"?t//", "?t/3//", ">t/1/7", "?.*//", "#?t/0//////?t/7//", "*t/.*/1.*"},
		{"?t/2//", "?t/.*/1", "?t/.*/.*5"},
		{">t", ">t/3", ">t/4", "#>t/5////>t/6"},
		{">t/0", ">t/1", ">t"},
	} {
		b := &balance{t: t, name: fmt.Sprint("listener ", i), counts: direct, covered: map[string]*Topic{}}
		if strings.HasPrefix(expressions[0], ">") { // paths above topics
			b.counts = descendant
		}
		l := NewListener(b)
		all = append(all, l)
		listeners.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for range 80 {
				if s := sel(t, expressions[r.IntN(len(expressions))]); r.IntN(2) == 0 {
					_ = tr.Unlisten(l, s)
				} else {
					_ = tr.Listen(l, s)
				}
			}
		})
	}
	listeners.Wait()
	close(done)
	topics.Wait()
	for _, l := range all {
		b := l.sink.(*balance)
		want := map[string]*Topic{}
		tr.Walk(sel(t, "?.*//"), func(n *Topic) bool {
			if tr.cover(l.scope, n.path, nil) == b.counts {
				want[n.path] = n
			}
			return true
		})
		for path, n := range want {
			if b.covered[path] != n {
				t.Errorf("%s was not told of %s", b.name, path)
			}
		}
		if len(want) != len(b.covered) {
			t.Errorf("%s knows of %d topics, want %d", b.name, len(b.covered), len(want))
		}
		tr.CloseListener(l)
	}
	if n := tr.listeners.index.Len(); n != 0 {
		t.Errorf("%d selections are left in the index", n)
	}
}

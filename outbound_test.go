package advect

import (
	"fmt"
	"testing"
)

func message(n int) []byte { return []byte(fmt.Sprint(n)) }

func taken(o *outbound, most int) string {
	s := ""
	for _, m := range o.take(nil, most) {
		s += string(m) + " "
	}
	return s
}

func TestOutbound(t *testing.T) {
	o := newOutbound(3)
	for n := 1; n <= 5; n++ {
		o.add(message(n))
	}
	if got := taken(&o, 2); got != "1 2 " || o.waiting() != 3 || o.first != 1 || o.last() != 5 {
		t.Errorf("took %q: %+v", got, o)
	}
	if got := taken(&o, 1000); got != "3 4 5 " || o.waiting() != 0 || o.first != 3 {
		t.Errorf("took %q: %+v", got, o)
	}
	if got := taken(&o, 1000); got != "" {
		t.Errorf("took %q of nothing", got)
	}
	o.add(message(6)) // never sent
	for _, expected := range []int32{1, 2, 7, 8} {
		if o.rewind(expected) {
			t.Errorf("rewound to %d: %+v", expected, o)
		}
	}
	if !o.rewind(4) {
		t.Fatal("not rewound to 4")
	}
	if got := taken(&o, 1000); got != "4 5 6 " || o.last() != 6 {
		t.Errorf("took %q again", got)
	}
	if !o.rewind(7) || o.first != 7 || len(o.messages) != 0 {
		t.Errorf("rewound to 7: %+v", o)
	}
	o.reset()
	if o.first != 1 || o.last() != 0 || o.keep != 3 {
		t.Errorf("reset: %+v", o)
	}
}

func TestOutboundBytes(t *testing.T) {
	o := newOutbound(1000)
	for range 10 {
		o.add(make([]byte, 4<<20))
		o.take(nil, 1)
	}
	if len(o.messages) != 4 || o.sent != 16<<20 || o.first != 7 {
		t.Errorf("holds %d messages of %d bytes", len(o.messages), o.sent)
	}
	o.add(make([]byte, 17<<20))
	o.take(nil, 1)
	if len(o.messages) != 0 || o.sent != 0 || o.first != 12 {
		t.Errorf("holds %d messages of %d bytes", len(o.messages), o.sent)
	}
}

// Sequence numbers are 32 bits on the wire.
func TestOutboundWraps(t *testing.T) {
	o := newOutbound(3)
	o.first, o.next = 1<<32-1, 1<<32-1
	for n := range 3 {
		o.add(message(n))
	}
	taken(&o, 1000)
	if !o.rewind(0) || taken(&o, 1000) != "1 2 " {
		t.Errorf("%+v", o)
	}
}

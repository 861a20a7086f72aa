package peers

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// TestGuarantees has every adapter say what its server does not do.
func TestGuarantees(t *testing.T) {
	seen := make(map[string]bool)
	for _, a := range All() {
		if a.Name() == "" || seen[a.Name()] {
			t.Errorf("the name %q is empty or taken", a.Name())
		}
		seen[a.Name()] = true
		g := reflect.ValueOf(a.Guarantees())
		for i := range g.NumField() {
			if f := g.Field(i); f.Kind() == reflect.String && f.String() == "" {
				t.Errorf("%s says nothing of its %s", a.Name(), g.Type().Field(i).Name)
			} else if strings.ContainsAny(f.String(), "|\n") {
				t.Errorf("%s: %q does not fit a table", a.Name(), f)
			}
		}
		if _, ok := a.(Wildcard); ok {
			if _, ok := a.Publisher([]string{"a"}).(Keeper); !ok {
				t.Errorf("%s has subscribers to all topics, and no publisher for them", a.Name())
			}
		} else if a.LeavesOut("subscribeall") == "" {
			t.Errorf("%s takes part in subscribeall and is no Wildcard", a.Name())
		}
	}
}

// TestAnswers has a publisher of each protocol told that it was answered.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		adapter Adapter
		opening string // what makes the publisher ready
		echo    string // what it asks with; "": each publication is answered
		answer  string
	}{
		{Floor{}, "R", "S ", "R"},
		{Nats{}, "INFO {}\r\nPONG\r\n", "PING\r\n", "PONG\r\n"},
		{Mosquitto{}, "\x20\x02\x00\x00", "\xc0\x00", "\xd0\x00"},
		{Mochi{}, "\x20\x02\x00\x00", "\xc0\x00", "\xd0\x00"},
		{Centrifuge{}, `{"id":1,"connect":{"client":"x"}}`, "", `{"id":2,"publish":{}}`},
		{SocketIO{}, `40{"sid":"x"}`, `421["sub",[]]`, `431[]`},
	} {
		link := new(record)
		p := c.adapter.Publisher([]string{"a"})
		if err := p.Receive([]byte(c.opening), link); err != nil || link.ready != 1 {
			t.Errorf("%s: ready %d times, %v", c.adapter.Name(), link.ready, err)
		}
		if got := string(p.AppendEcho(nil)); got != c.echo {
			t.Errorf("%s asks %q", c.adapter.Name(), got)
		}
		before := link.answered
		if err := p.Receive([]byte(c.answer), link); err != nil || link.answered != before+1 {
			t.Errorf("%s: answered %d times, %v", c.adapter.Name(), link.answered-before, err)
		}
	}
}

func TestRetained(t *testing.T) {
	p := Mosquitto{}.Publisher([]string{"a"}).(Keeper)
	if got := string(p.AppendKeep(nil, "f/t0", []byte("xyz"))); got != "\x31\x09\x00\x04f/t0xyz" {
		t.Errorf("%q", got)
	}
	if got := string(p.AppendPublish(nil, "f/t0", []byte("xyz"))); got != "\x30\x09\x00\x04f/t0xyz" {
		t.Errorf("%q", got)
	}
	link := new(record)
	hear(t, Mosquitto{}.SubscriberToAll(0, "f"), link, "20 02 00 00")
	if len(link.sent) != 1 || !strings.Contains(link.sent[0], hex.EncodeToString([]byte("\x00\x03f/#\x00"))) {
		t.Errorf("sent %v", link.sent)
	}
}

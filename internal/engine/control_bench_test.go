package engine

import (
	"fmt"
	"testing"

	"advect.dev/internal/filter"
	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// BenchmarkControl has 50,000 sessions with three properties of the user each, of
// which many are asked for or changed at once.
func BenchmarkControl(b *testing.B) {
	const n = 50_000
	e := newEngine(b, func(c *Config) { c.Queue = outbox.Limits{}; c.MaxResultSize = 1 << 30 })
	type peer struct {
		*Session
		conn *fakeConn
	}
	peers := make([]peer, n)
	for i := range n {
		s, conn := connect(b, e, "client")
		peers[i] = peer{s, conn}
		setProperties(b, s, "User", fmt.Sprintf("user-%d", i), "Tier", []string{"free", "gold"}[i%2], "Desk", fmt.Sprintf("desk-%d", i%500))
	}
	control, conn := connect(b, e, "admin")
	var taken []*outbox.Message
	run := func(name string, frame func(i int) []byte) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := control.Receive(conn, frame(i)); err != nil {
					b.Fatal(err)
				}
				taken, _ = control.Take(conn, taken[:0], 1<<30)
				clear(taken)
			}
		})
	}
	for _, text := range []string{"User is 'user-777'", "Desk is 'desk-7' and Tier is 'gold'", "Tier is 'gold'", "has Tier and $Transport is 'TCP'", "$Transport is 'WEBSOCKET' and not Tier is 'gold'"} {
		f, err := filter.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("match/"+text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.matching(f)
			}
		})
	}
	setAll := func(i int) []byte {
		return service.SetSessionPropertiesFilter.AppendRequest(nil, 1, service.FilterPropertiesRequest{Filter: "all",
			PropertyChanges: service.PropertyChanges{Set: map[string]string{"Phase": fmt.Sprint(i)}}})
	}
	run("set property of all", setAll)
	send := service.MessagingToFilter.AppendRequest(nil, 1, service.FilterMessage{Responses: 2, Filter: "$Principal is 'client'",
		MessageRequest: service.MessageRequest{Path: "a/b", Payload: service.Payload{DataType: "string", Data: []byte{0x60}}}})
	b.Run("request to all, and their answers", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := control.Receive(conn, send); err != nil {
				b.Fatal(err)
			}
			for _, p := range peers {
				taken, _ = p.Take(p.conn, taken[:0], 1<<30)
				m, err := wire.ParseMessage(taken[len(taken)-1].Bytes())
				if err != nil || m.Service != service.MessagingSend.ID {
					b.Fatalf("message %v of %d, %v", m.Type, m.Service, err)
				}
				answer := service.MessagingSend.AppendResponse(nil, m.Conversation, service.Payload{DataType: "string", Data: []byte{0x60}})
				if err := p.Receive(p.conn, answer); err != nil {
					b.Fatal(err)
				}
			}
			taken, _ = control.Take(conn, taken[:0], 1<<30)
			if len(taken) != n+1 {
				b.Fatalf("%d messages, want an answer and a report of each of %d sessions", len(taken), n)
			}
			clear(taken)
		}
	})
	hundred := int32(100)
	for name, q := range map[string]service.SessionQuery{
		"fetch/first 100 of all": {Filter: "all", Keys: []string{"*F", "*U"}, Limit: &hundred, MaxResultSize: 1 << 30, StartTime: true},
		"fetch/all":              {Filter: "all", Keys: []string{"*F", "*U"}, MaxResultSize: 1 << 30, StartTime: true},
	} {
		frame := service.SessionFetch.AppendRequest(nil, 1, q)
		run(name, func(int) []byte { return frame })
	}
	ask(b, control, conn, service.SessionEventRegistration, service.EventListener{Keys: []string{"Phase", "User"}, Listener: 9})
	b.Run("set property of all, listened to", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := control.Receive(conn, setAll(-i)); err != nil {
				b.Fatal(err)
			}
			quiet(e)
			taken, _ = control.Take(conn, taken[:0], 1<<30)
			clear(taken)
		}
	})
}

package engine

import (
	"context"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// disturb does something to the session or the connection of a client.
func (w *world) disturb(c *modelClient) {
	r := w.rnd
	switch k := r.IntN(24); {
	case k < 1:
		pause := time.Duration(r.IntN(40)) * time.Millisecond
		if r.IntN(20) == 0 {
			pause = 2 * window / 3
		}
		w.note("%v pass", pause)
		for _, o := range w.ref.clients {
			if o.conn == nil && time.Since(o.lost)+pause >= min(o.window, keepAlive) {
				o.ends = ConnectionLost
			}
		}
		time.Sleep(pause)
	case k < 8 && c.conn != nil:
		some := r.IntN(400)
		if c.pace == stalled && r.IntN(8) > 0 {
			return
		}
		w.note("%v reads about %d bytes", c, some)
		c.drain(some)
	case k < 12 && c.conn != nil:
		w.note("%v is sent a little and does not read all of it", c)
		c.take(r.IntN(400))
		for n := r.IntN(len(c.inflight) + 1); n > 0 && len(c.inflight) > 0; n-- {
			c.readOne()
		}
	case k < 14 && c.conn != nil && c.ends < 0:
		w.cut(c)
	case k < 18 && c.conn != nil && !c.ping.open:
		w.note("%v is pinged", c)
		c.ping.open, c.ping.number = true, 0
		c.expected = append(c.expected, expectation{operation: "ping", check: func(m *wire.Message) error {
			return isService(m, service.SystemPing.ID)
		}})
		c.session.ping()
		c.ping.conversation = c.session.pingCID
	case k < 19 && c.conn != nil && r.IntN(4) == 0:
		w.note("%v closes its session", c)
		c.send(func() []byte {
			c.ends = ClosedByClient
			return []byte{byte(wire.TypeCloseRequest)}
		})
	default:
		w.reconnect(c, r.IntN(4) == 0)
	}
}

// cut breaks a connection: what was under way is lost.
func (w *world) cut(c *modelClient) {
	w.note("the connection of %v breaks", c)
	if c.window == 0 {
		c.ends = ConnectionLost
	}
	conn := c.conn
	c.conn, c.inflight, c.lost, c.ping.open = nil, nil, time.Now(), false
	c.lagging = true
	c.session.Lost(conn, ConnectionLost)
}

// reconnect gives a client a new connection, with or without the old one being
// lost. A liar claims what makes a recovery impossible (03 section 4.3).
func (w *world) reconnect(c *modelClient, lies bool) {
	q := request(c.principal)
	q.Token, q.LastServer, q.OldestClient = c.session.Token(), int64(c.read), int64(c.arrived)+1
	if w.rnd.IntN(2) == 0 {
		q.OldestClient = 1
	}
	if lies && w.rnd.IntN(2) == 0 {
		q.LastServer += 1 << 20
	} else if lies {
		q.OldestClient = int64(c.arrived) + 2
	}
	last := uint64(q.LastServer)
	want := wire.ReconnectedWithLoss
	if !c.unseen && q.OldestClient <= int64(c.arrived)+1 && c.kept <= last && last <= c.taken {
		want = wire.Reconnected
	}
	if c.window == 0 && c.conn == nil {
		want = wire.UnknownSession
	}
	w.note("%v reconnects and has %d of %d messages, of which %d are forgotten, %d of its own arrived: %v", c, q.LastServer, c.taken, c.kept, c.arrived, want)
	old := c.conn
	c.conn = &fakeConn{}
	res, s := w.engine.Connect(context.Background(), q, here, c.conn)
	if res.Code != want || s != c.session && s != nil {
		w.fail("reconnection of %v: %v, want %v", c, res.Code, want)
	}
	if old != nil {
		if err := c.session.Receive(old, []byte{byte(wire.TypeCloseRequest)}); err == nil || !old.closed.Load() {
			w.fail("%v: the old connection goes on", c)
		}
		if messages, end := c.session.Take(old, nil, everything); len(messages) > 0 || !end {
			w.fail("%v: the old connection gets %d messages", c, len(messages))
		}
	}
	w.tally[want.String()]++
	switch want {
	case wire.Reconnected:
		if int(res.NextClient) != c.arrived+1 {
			w.fail("%v: message %d is expected, %d have arrived", c, res.NextClient, c.arrived)
		}
		c.lagging = true
		c.ever = max(c.ever, c.taken)
		c.inflight, c.taken, c.ping.open = nil, c.read, false
		for c.session != nil && c.conn != nil && c.ends < 0 && c.arrived < len(c.sent) {
			c.deliver()
		}
	case wire.ReconnectedWithLoss:
		c.forget()
		c.unseen = true
		for _, n := range w.ref.sorted() {
			if c.selected(n.path) {
				c.subscribe(n)
			}
		}
		if w.rnd.IntN(2) == 0 {
			c.session.Seen(c.conn)
			c.unseen = false
		}
	}
}

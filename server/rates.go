package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"advect.dev/internal/security"
)

// connectionRates bounds how many connections an address may make. IPv6 addresses
// count by their /64 network.
type connectionRates struct {
	perSecond int

	mu         sync.Mutex
	young, old map[netip.Addr]*rate.Limiter // guarded by mu
}

// maxAddresses bounds the addresses that are remembered. Those that connected
// longest ago are forgotten first, in halves.
const maxAddresses = 1 << 15

func newConnectionRates(perSecond int) *connectionRates {
	return &connectionRates{perSecond: perSecond, young: make(map[netip.Addr]*rate.Limiter)}
}

// allow counts a connection of an address, and reports whether it may be.
func (r *connectionRates) allow(address netip.Addr) bool {
	key := security.Network(address)
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.young[key]
	if l == nil {
		if l = r.old[key]; l == nil {
			l = rate.NewLimiter(rate.Limit(r.perSecond), connectionsAtOnce*r.perSecond)
		}
		if len(r.young) >= maxAddresses/2 {
			r.old, r.young = r.young, make(map[netip.Addr]*rate.Limiter)
		}
		r.young[key] = l
	}
	return l.AllowN(time.Now(), 1)
}

// connectionsAtOnce is how many seconds' worth of connections an address may make
// at once, as a page and its workers do.
const connectionsAtOnce = 5

// paid is the key of a connection's *atomic.Bool, which is set when the connection
// has been used for a session.
type paid struct{}

func (*connectionRates) connected(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, paid{}, new(atomic.Bool))
}

// admit reports whether a polling client may open a session: the first over a
// connection came with it, others count like connections.
func (r *connectionRates) admit(request *http.Request, address netip.Addr) bool {
	used, ok := request.Context().Value(paid{}).(*atomic.Bool)
	return ok && used.CompareAndSwap(false, true) || r.allow(address)
}

package server

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestConnectionRates makes connections from some addresses in made-up time.
func TestConnectionRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 2
		r := newConnectionRates(perSecond)
		allowed := func(address string, tries int) (n int) {
			for range tries {
				if r.allow(netip.MustParseAddr(address)) {
					n++
				}
			}
			return n
		}
		for _, c := range []struct {
			address string
			after   time.Duration
			want    int // of 100
		}{
			{"192.0.2.1", 0, perSecond * connectionsAtOnce},
			{"192.0.2.1", 0, 0},
			{"192.0.2.2", 0, perSecond * connectionsAtOnce}, // each has its own
			{"192.0.2.1", time.Second, perSecond},
			{"::ffff:192.0.2.1", 0, 0}, // the same
			{"2001:db8::1", 0, perSecond * connectionsAtOnce},
			{"2001:db8::ffff:1", 0, 0}, // of the same customer
			{"2001:db8:0:1::1", 0, perSecond * connectionsAtOnce},
			{"192.0.2.1", time.Hour, perSecond * connectionsAtOnce},
		} {
			time.Sleep(c.after)
			if got := allowed(c.address, 100); got != c.want {
				t.Errorf("%s after %v: %d connections, want %d", c.address, c.after, got, c.want)
			}
		}
		// Memory is bounded, and those who go on are not forgotten.
		allowed("192.0.2.1", 100)
		for i := range uint32(4 * maxAddresses) {
			r.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
			if i%1000 == 0 && allowed("192.0.2.1", 1) != 0 {
				t.Fatalf("an address is forgotten after %d others", i)
			}
		}
		if n := len(r.young) + len(r.old); n > maxAddresses {
			t.Errorf("%d addresses are remembered", n)
		}
	})
}

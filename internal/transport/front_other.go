//go:build !linux

package transport

import (
	"net"
	"net/netip"
)

// Front returns a listener for an HTTP server, to be closed. admit, which may be nil,
// is asked about each connection by its address.
func (h *Handler) Front(l net.Listener, admit func(netip.Addr) bool) (net.Listener, error) {
	return Admitting(l, admit), nil // goroutines of Go's own serve them all
}

type front struct{ poller interface{ close() } }

package transport

import (
	"net"
	"net/netip"
)

// Admitting returns a listener that closes connections of addresses that admit
// refuses before it has spent anything on them. admit may be nil.
func Admitting(l net.Listener, admit func(netip.Addr) bool) net.Listener {
	if admit == nil {
		return l
	}
	return admitting{l, admit}
}

type admitting struct {
	net.Listener
	admit func(netip.Addr) bool
}

// Accept implements [net.Listener].
func (l admitting) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if a, ok := nc.RemoteAddr().(*net.TCPAddr); !ok || l.admit(a.AddrPort().Addr()) {
			return nc, nil
		}
		if tcp, ok := nc.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset: nothing of it stays behind here
		}
		_ = nc.Close()
	}
}

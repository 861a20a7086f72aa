// Package advecttest gives Go tests a running server and sessions.
//
//	func TestPrices(t *testing.T) {
//		srv := advecttest.Server(t)
//		session := advecttest.Session(t, srv)
//		…
//	}
//
// Each test has a server of its own on a free port of the loopback interface. It
// keeps everything in memory, takes well below a millisecond to start, and is
// closed, after its sessions, when the test ends.
package advecttest

package server_test

import (
	"errors"
	"testing"
)

// A browser makes a poll again by itself when a connection that it had kept
// alive breaks. What the first answer took must not be lost.
func TestPollAgain(t *testing.T) {
	srv := start(t, nil)
	s, c := polling(t, srv, recoverable())
	s.ping()
	first := c.polls - 1
	if err := c.send(append([]byte{0x00, 0x38}, 0x7f)); err != nil {
		t.Fatal(err)
	}
	want, err := c.poll()
	if err != nil || want == "" {
		t.Fatalf("poll: %q, %v", want, err)
	}
	for range 2 {
		got, err := c.numbered(1, c.polls-1, "")
		if got != want || err != nil {
			t.Fatalf("the same poll again: %q, %v, want %q", got, err, want)
		}
	}
	if got, err := c.numbered(1, first, ""); got != "" || err != nil {
		t.Fatalf("an overtaken poll was answered %q, %v, want nothing", got, err)
	}
	s.ping()
}

// What an abandoned connection sent may arrive after the client has reconnected
// with the same token. It must not take the messages of the new connection.
func TestPollOfAnEarlierConnection(t *testing.T) {
	srv := start(t, nil)
	s, c := polling(t, srv, recoverable())
	for range 5 {
		s.ping()
	}
	late := c.polls
	s.reconnect(overPolling)
	if _, err := c.numbered(1, late, ""); !errors.Is(err, errReconnect) {
		t.Fatalf("a poll of an earlier connection: %v, want %v", err, errReconnect)
	}
	s.ping()
}

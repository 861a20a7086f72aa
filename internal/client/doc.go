// Package client holds the transports of the SDK: it connects to a server,
// over WebSocket or HTTP long polling, directly or through an HTTP proxy, and
// carries whole protocol messages. It knows the handshake and nothing of
// sessions, services or topics.
//
// [Connect] walks an ordered list of transports by the rules of protocol 01
// section 9 and returns a [Conn] with the server's answer.
//
// What ends a connection tells its user whether to connect again: errors that
// match [ErrFraming], [ErrTooLarge] or wire.ErrMalformed are violations by the
// server, any other is a loss of the connection (protocol 02 section 8).
package client

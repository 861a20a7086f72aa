// Package topic holds what a topic is, apart from its value: its type, its
// specification and its path. Server and SDK share it; it is pure.
package topic

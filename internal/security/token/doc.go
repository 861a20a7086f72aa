// Package token authenticates sessions by JSON Web Tokens (RFC 7519).
//
// The token is the password of a client. [New] makes an authenticator from
// keys, static or fetched from a URL, and from what tokens must claim. It
// abstains for credentials that are no token, so that it can stand in a chain
// before the system authenticator, allows what is proved, and denies the
// rest.
//
// What is refused, whatever the configuration: algorithms that are not named,
// a key used with an algorithm of another family, weak keys, unsigned tokens,
// tokens that do not expire, unknown critical headers. No error and no reason
// carries a token or a part of one.
package token

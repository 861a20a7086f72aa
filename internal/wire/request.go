package wire

import (
	"encoding/json"
	"fmt"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Capability bits of a client (01 section 4).
const (
	CapabilityZlib    = 2 // understands compressed topic messages
	CapabilityUnified = 8 // every current SDK
)

// A ConnectRequest asks for a new session or, with a token, for one that lost
// its connection. It travels as query parameters or as HTTP headers
// (01 section 2).
type ConnectRequest struct {
	Type             string // connection type code, such as "WB"; information only
	Version          int
	Capabilities     int32
	ReconnectTimeout time.Duration // 0: the client will never reconnect

	Token        string // "" for a new session
	OldestClient int64  // with Token: oldest client message that can be sent again
	LastServer   int64  // with Token: last server message that arrived

	Properties  map[string]string // proposed session properties
	Principal   string            // "": anonymous
	Named       bool              // Principal was given, be it empty
	Credentials Credentials
}

// A Rejection is a connection request's refusal, to be sent as the response.
type Rejection struct {
	Code   ResponseCode
	Reason string // for the log; never sent, holds no secret
}

func (e *Rejection) Error() string {
	return fmt.Sprintf("connection rejected: %s: %s", e.Code, e.Reason)
}

// Parameters looks up connection parameters, each in the query first and then
// in the headers. In both, text is percent-encoded and "+" is a plus; only the
// password and the token of a header are raw, and neither alphabet has a "%".
type Parameters struct {
	query  []parameter // few; of two with a name the later counts
	header textproto.MIMEHeader
}

type parameter struct{ name, value string }

// NewParameters parses the raw query; a part that does not decode counts as absent.
func NewParameters(rawQuery string, header map[string][]string) Parameters {
	p := Parameters{header: header}
	for part := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(part, "=")
		if value, err := url.PathUnescape(value); err == nil && key != "" {
			if p.query == nil {
				p.query = make([]parameter, 0, 8)
			}
			p.query = append(p.query, parameter{key, value})
		}
	}
	return p
}

// Get returns a parameter and whether it is there.
func (p Parameters) Get(name string) (string, bool) {
	for i := len(p.query) - 1; i >= 0; i-- {
		if p.query[i].name == name {
			return p.query[i].value, true
		}
	}
	if len(p.header) == 0 {
		return "", false
	}
	values := p.header[textproto.CanonicalMIMEHeaderKey(name)]
	if len(values) == 0 {
		return "", false
	}
	if v, err := url.PathUnescape(values[0]); err == nil {
		return v, true
	}
	return values[0], true
}

func (p Parameters) number(name string, bits int) (int64, bool, error) {
	s, ok := p.Get(name)
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return 0, false, &Rejection{ConnectionProtocol, fmt.Sprintf("parameter %s is not a number", name)}
	}
	return n, true, nil
}

// ParseConnectRequest reads a request from its parameters. Its error is a
// [*Rejection].
func ParseConnectRequest(p Parameters) (ConnectRequest, error) {
	var q ConnectRequest
	var numbers [5]int64 // v, ca, r, cs, ss
	var present [5]bool
	for i, f := range [...]struct {
		name string
		bits int
	}{{"v", 32}, {"ca", 32}, {"r", 64}, {"cs", 64}, {"ss", 64}} {
		var err error
		if numbers[i], present[i], err = p.number(f.name, f.bits); err != nil {
			return q, err
		}
	}
	q.Version = int(numbers[0])
	q.Capabilities = int32(numbers[1])
	q.ReconnectTimeout = milliseconds(numbers[2])
	q.Type, _ = p.Get("ty")
	switch {
	case !present[0]:
		return q, &Rejection{ConnectionProtocol, "parameter v is missing"}
	case q.Version != Version:
		return q, &Rejection{Downgrade, fmt.Sprintf("client speaks protocol version %d, this server %d", q.Version, Version)}
	case q.Type == "":
		return q, &Rejection{ConnectionProtocol, "parameter ty is missing"}
	}

	if q.Token, _ = p.Get("c"); q.Token != "" {
		if !present[3] || !present[4] || numbers[3] < 0 || numbers[4] < 0 {
			return q, &Rejection{ConnectionProtocol, "reconnection without sequence numbers cs and ss"}
		}
		q.OldestClient, q.LastServer = numbers[3], numbers[4]
	}
	q.Principal, q.Named = p.Get("username")
	if s, ok := p.Get("password"); ok {
		c, err := DecodePassword(s)
		if err != nil {
			return q, &Rejection{AuthenticationFailed, "password parameter does not decode"}
		}
		q.Credentials = c
	}
	if s, ok := p.Get("sp"); ok && s != "" {
		if q.Properties, ok = plainObject(s); ok {
			return q, nil
		}
		if err := json.Unmarshal([]byte(s), &q.Properties); err != nil {
			return q, &Rejection{ConnectionProtocol, "parameter sp is not a JSON object of strings"}
		}
	}
	return q, nil
}

// plainObject reads a JSON object of strings that is written as clients write it:
// without white space, and with nothing in the strings that needs to be escaped.
func plainObject(s string) (m map[string]string, ok bool) {
	rest, ok := strings.CutPrefix(s, "{")
	if rest == "}" {
		return map[string]string{}, ok
	}
	for ok {
		var key, value string
		if key, rest, ok = plainString(rest); !ok {
			break
		}
		if rest, ok = strings.CutPrefix(rest, ":"); !ok {
			break
		}
		if value, rest, ok = plainString(rest); !ok {
			break
		}
		if m == nil {
			m = make(map[string]string)
		}
		m[key] = value
		if rest == "}" {
			return m, true
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return nil, false
}

func plainString(s string) (text, rest string, ok bool) {
	if s, ok = strings.CutPrefix(s, `"`); !ok {
		return "", "", false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			return s[:i], s[i+1:], true
		case c == '\\', c < ' ', c > '~':
			return "", "", false
		}
	}
	return "", "", false
}

// parameters yields the parameters in the order of the official client.
func (q *ConnectRequest) parameters(yield func(name, value string)) {
	yield("ty", q.Type)
	yield("v", strconv.Itoa(q.Version))
	yield("ca", strconv.Itoa(int(q.Capabilities)))
	yield("r", strconv.FormatInt(q.ReconnectTimeout.Milliseconds(), 10))
	if q.Token != "" {
		yield("c", q.Token)
		yield("cs", strconv.FormatInt(q.OldestClient, 10))
		yield("ss", strconv.FormatInt(q.LastServer, 10))
	}
	sp, _ := json.Marshal(q.Properties) // a map of strings always encodes
	if q.Properties == nil {
		sp = []byte("{}")
	}
	yield("sp", string(sp))
	if q.Named {
		yield("username", q.Principal)
		c := q.Credentials
		if c.Kind == NoCredentials {
			c.Kind = PasswordCredentials // as the official client does
		}
		yield("password", EncodePassword(c))
	}
}

// Query returns the request as the query of a WebSocket URL.
func (q *ConnectRequest) Query() string {
	var b strings.Builder
	q.parameters(func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + percentEncode(value))
	})
	return b.String()
}

// Header calls set for each header of a polling connect request, except "m".
func (q *ConnectRequest) Header(set func(name, value string)) {
	q.parameters(func(name, value string) {
		if name == "sp" || name == "username" {
			value = percentEncode(value)
		}
		set(name, value)
	})
}

// percentEncode encodes all but the characters that RFC 3986 leaves unreserved
// and ! ' ( ) *, as the official client does. A space is "%20".
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~!'()*", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

package advect

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// requestPath is what the path of every request ends with.
const requestPath = "/diffusion"

// An endpoint is what a URL names.
type endpoint struct {
	host      string // IPv6 without brackets
	port      int
	secure    bool
	path      string // escaped
	transport Transport
}

// replacements names the schemes to use instead of those that are no more.
var replacements = map[string]string{
	"http": "xhr or ws", "https": "xhrs or wss", "dpt": "ws", "dpts": "wss",
}

// parseURL parses transport[s]://host[:port][/path]. Without a scheme it is ws,
// or wss on port 443.
func parseURL(raw string) (endpoint, error) {
	e := endpoint{transport: WebSocket}
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		scheme, rest = "", raw
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "", "ws":
	case "wss":
		e.secure = true
	case "xhr", "xhrs":
		e.transport, e.secure = HTTPPolling, scheme == "xhrs"
	default:
		if use, ok := replacements[scheme]; ok {
			return e, fmt.Errorf("URL %q: scheme %q is obsolete: use %s", raw, scheme, use)
		}
		return e, fmt.Errorf("URL %q: unknown scheme %q: use ws, wss, xhr or xhrs", raw, scheme)
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if strings.ContainsAny(rest, "?#") || strings.Contains(authority, "@") {
		return e, fmt.Errorf("URL has a query, a fragment or a user: give options such as WithPrincipal instead")
	}
	if found { // in a URL a zone's percent sign is escaped (RFC 6874)
		authority = strings.Replace(authority, "%25", "%", 1)
	}
	var err error
	if e.host, e.port, err = splitHost(authority); err == nil {
		e.path, err = normalisePath(path)
	}
	if err != nil {
		return e, fmt.Errorf("URL %q: %w", raw, err)
	}
	if scheme == "" {
		e.secure = e.port == 443
	}
	if e.port == 0 {
		e.port = usualPort(e.secure)
	}
	return e, nil
}

func usualPort(secure bool) int {
	if secure {
		return 443
	}
	return 80
}

// splitHost splits host, host:port, an IPv6 address, or one in brackets with or
// without a port. A port that is not there is 0.
func splitHost(s string) (host string, port int, err error) {
	host = s
	if strings.HasPrefix(s, "[") {
		inside, after, closed := strings.Cut(s[1:], "]")
		if address, err := netip.ParseAddr(inside); !closed || err != nil || !address.Is6() || after != "" && after[0] != ':' {
			return "", 0, fmt.Errorf("%q is not an IPv6 address in brackets, with or without a port", s)
		}
		host, s = inside, after
	} else if strings.Count(s, ":") > 1 {
		if _, err := netip.ParseAddr(s); err != nil {
			return "", 0, fmt.Errorf("%q is neither a host with a port nor an IPv6 address", s)
		}
		return s, 0, nil
	}
	if name, number, found := strings.Cut(s, ":"); found {
		if port, err = parsePort(number); err != nil {
			return "", 0, err
		}
		if name != "" {
			host = name
		} else if s == host {
			host = ""
		}
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n/\\%?#@[]") && !strings.Contains(host, ":") {
		return "", 0, fmt.Errorf("host %q is not a host name or address", host)
	}
	return host, port, nil
}

func parsePort(s string) (int, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", s)
	}
	return int(port), nil
}

// normalisePath makes a path start with "/" and end with "/diffusion", escaped.
func normalisePath(path string) (string, error) {
	path = strings.TrimSuffix(path, "/")
	if path != "" && !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if !strings.HasSuffix(path, requestPath) {
		path += requestPath
	}
	u, err := url.Parse("ws://host" + path)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("path %q is not the path of a URL", path)
	}
	return u.EscapedPath(), nil
}

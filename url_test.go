package advect

import (
	"strings"
	"testing"
)

func TestURL(t *testing.T) {
	for _, c := range []struct {
		url  string
		want endpoint
	}{
		{"ws://h", endpoint{"h", 80, false, "/diffusion", WebSocket}},
		{"wss://h", endpoint{"h", 443, true, "/diffusion", WebSocket}},
		{"xhr://h", endpoint{"h", 80, false, "/diffusion", HTTPPolling}},
		{"xhrs://h", endpoint{"h", 443, true, "/diffusion", HTTPPolling}},
		{"WSS://H:80", endpoint{"H", 80, true, "/diffusion", WebSocket}},
		{"ws://h:443", endpoint{"h", 443, false, "/diffusion", WebSocket}},
		{"ws://diffractingmightyCarter.example.cloud:80", endpoint{"diffractingmightyCarter.example.cloud", 80, false, "/diffusion", WebSocket}},
		{"h", endpoint{"h", 80, false, "/diffusion", WebSocket}},
		{"h:8080", endpoint{"h", 8080, false, "/diffusion", WebSocket}},
		{"h:443", endpoint{"h", 443, true, "/diffusion", WebSocket}},
		{"127.0.0.1:8080/ctx", endpoint{"127.0.0.1", 8080, false, "/ctx/diffusion", WebSocket}},
		{"::1", endpoint{"::1", 80, false, "/diffusion", WebSocket}},
		{"[::1]", endpoint{"::1", 80, false, "/diffusion", WebSocket}},
		{"[::1]:8080", endpoint{"::1", 8080, false, "/diffusion", WebSocket}},
		{"ws://[fe80::1%25eth0]:81", endpoint{"fe80::1%eth0", 81, false, "/diffusion", WebSocket}},
		{"wss://[2001:db8::1]/a", endpoint{"2001:db8::1", 443, true, "/a/diffusion", WebSocket}},
		{"ws://h/", endpoint{"h", 80, false, "/diffusion", WebSocket}},
		{"ws://h/diffusion", endpoint{"h", 80, false, "/diffusion", WebSocket}},
		{"ws://h/diffusion/", endpoint{"h", 80, false, "/diffusion", WebSocket}},
		{"ws://h/a/b", endpoint{"h", 80, false, "/a/b/diffusion", WebSocket}},
		{"ws://h/mydiffusion", endpoint{"h", 80, false, "/mydiffusion/diffusion", WebSocket}},
		{"ws://h/a b/ö", endpoint{"h", 80, false, "/a%20b/%C3%B6/diffusion", WebSocket}},
	} {
		if got, err := parseURL(c.url); err != nil || got != c.want {
			t.Errorf("%s: %+v %v, want %+v", c.url, got, err, c.want)
		}
	}
}

func TestBadURL(t *testing.T) {
	for url, want := range map[string]string{
		"http://h":       "use xhr or ws",
		"https://h":      "use xhrs or wss",
		"dpt://h":        "use ws",
		"dpts://h":       "use ws",
		"tcp://h":        "unknown scheme",
		"ws://":          "host",
		"ws://:80":       "host",
		"ws:///a":        "host",
		"ws://h:":        "port",
		"ws://h:0":       "port",
		"ws://h:65536":   "port",
		"ws://h:x":       "port",
		"ws://h:-1":      "port",
		"ws://h:80:90":   "IPv6",
		"ws://[::1":      "IPv6",
		"ws://[::1]80":   "IPv6",
		"ws://[1.2.3.4]": "IPv6",
		"ws://h?a=b":     "options",
		"ws://h/a#b":     "options",
		"ws://u:p@h":     "options",
		"ws://h/%zz":     "path",
		"ws://h h":       "host",
	} {
		_, err := parseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: the error shows the password: %v", url, err)
		}
	}
}

func TestEndpointOptions(t *testing.T) {
	host := WithHost("h")
	for name, c := range map[string]struct {
		opts []Option
		want endpoint
	}{
		"host":            {[]Option{host}, endpoint{"h", 80, false, "/diffusion", 0}},
		"host:port":       {[]Option{WithHost("h:8080")}, endpoint{"h", 8080, false, "/diffusion", 0}},
		"port":            {[]Option{host, WithPort(8080)}, endpoint{"h", 8080, false, "/diffusion", 0}},
		"port wins":       {[]Option{WithHost("h:1"), WithPort(2)}, endpoint{"h", 2, false, "/diffusion", 0}},
		"port 443":        {[]Option{host, WithPort(443)}, endpoint{"h", 443, true, "/diffusion", 0}},
		"port 443, plain": {[]Option{host, WithPort(443), WithSecure(false)}, endpoint{"h", 443, false, "/diffusion", 0}},
		"plain":           {[]Option{host, WithSecure(false)}, endpoint{"h", 80, false, "/diffusion", 0}},
		"secure":          {[]Option{host, WithSecure(true)}, endpoint{"h", 443, true, "/diffusion", 0}},
		"port, secure":    {[]Option{host, WithPort(8080), WithSecure(true)}, endpoint{"h", 8080, true, "/diffusion", 0}},
		"IPv6":            {[]Option{WithHost("::1")}, endpoint{"::1", 80, false, "/diffusion", 0}},
		"IPv6 and port":   {[]Option{WithHost("[::1]:8080")}, endpoint{"::1", 8080, false, "/diffusion", 0}},
		"path":            {[]Option{host, WithPath("a")}, endpoint{"h", 80, false, "/a/diffusion", 0}},
		"path in slashes": {[]Option{host, WithPath("/a/")}, endpoint{"h", 80, false, "/a/diffusion", 0}},
		"path as it is":   {[]Option{host, WithPath("/a/diffusion")}, endpoint{"h", 80, false, "/a/diffusion", 0}},
	} {
		o, err := resolve("", c.opts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := (endpoint{o.target.Host, o.target.Port, o.target.Secure, o.target.Path, 0}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	o, err := resolve("xhr://other/x", []Option{host, WithPort(1), WithSecure(true), WithPath("y"), WithTransports(WebSocket, WebSocket)})
	if err != nil || o.target.Host != "other" || o.target.Port != 80 || o.target.Secure || o.target.Path != "/x/diffusion" ||
		len(o.transports) != 1 || o.transports[0] != HTTPPolling {
		t.Errorf("a URL does not override the options: %+v %v", o.target, err)
	}
}

func TestParseTransport(t *testing.T) {
	for name, want := range map[string]Transport{"WS": WebSocket, "WebSocket": WebSocket, "xhr": HTTPPolling, "HTTP_POLLING": HTTPPolling} {
		if got, err := ParseTransport(name); err != nil || got != want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	if _, err := ParseTransport("tcp"); err == nil {
		t.Error("tcp is a transport")
	}
}

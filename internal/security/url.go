package security

import (
	"errors"
	"fmt"
	"net"
	"net/url"
)

// CheckURL reports why an authenticator must not ask the service at raw. Only
// https will do, unless the service is on this machine or allowHTTP says that
// the network between is trusted. The error does not repeat a password in
// raw.
func CheckURL(raw string, allowHTTP bool) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("this is not a URL")
	}
	switch {
	case u.Host == "":
		return errors.New("the URL names no host")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("the URL must start with https, not %q", u.Scheme)
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); allowHTTP || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("the URL of %q must start with https, or plain http must be allowed explicitly", host)
}

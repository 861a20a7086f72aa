package server_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"advect.dev/server"
)

// TestMetricsAccess reads /metrics in ways that are local, or may not be.
func TestMetricsAccess(t *testing.T) {
	for _, setting := range []string{server.MetricsOff, server.MetricsLocal, server.MetricsAll} {
		cfg := server.DefaultConfig()
		cfg.Listen, cfg.Metrics, cfg.Logger = []string{"127.0.0.1:0"}, setting, slog.New(slog.DiscardHandler)
		srv, err := server.Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { srv.Close() })
		address := strings.TrimSuffix(strings.TrimPrefix(srv.URL(), "ws://"), "/diffusion")
		_, port, _ := net.SplitHostPort(address)
		for name, c := range map[string]struct {
			host, header string
			local        bool
		}{
			"loopback address":    {address, "", true},
			"localhost":           {"localhost:" + port, "", true},
			"no port":             {"localhost", "", true},
			"IPv6":                {"[::1]:" + port, "", true},
			"another name":        {"rebound.example:" + port, "", false},
			"through a proxy":     {address, "X-Forwarded-For", false},
			"through another one": {address, "Forwarded", false},
			"from a page":         {address, "Origin", false},
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = c.host
			if c.header != "" {
				r.Header.Set(c.header, "192.0.2.1")
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			want := http.StatusOK
			switch {
			case setting == server.MetricsOff:
				want = http.StatusNotFound
			case setting == server.MetricsLocal && !c.local:
				want = http.StatusForbidden
			}
			if res.StatusCode != want || (want == http.StatusOK) != strings.Contains(string(body), "\ndiffusion_sessions_open 0\n") {
				t.Errorf("metrics: %s, %s: status %d, want %d\n%.200s", setting, name, res.StatusCode, want, body)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestMetricsFromElsewhere(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil)
	for address, want := range map[string]bool{"127.0.0.1:5": true, "[::1]:5": true, "192.0.2.1:5": false, "": false} {
		r.RemoteAddr = address
		if got := server.Local(r); got != want {
			t.Errorf("from %q: local %v, want %v", address, got, want)
		}
	}
}

func TestBadSettingsOfMetrics(t *testing.T) {
	cfg := server.DefaultConfig()
	cfg.Metrics, cfg.LogEntries = "some", -1
	err := cfg.Validate()
	if err == nil || !strings.Contains(err.Error(), "metrics: is \"some\"") || !strings.Contains(err.Error(), "log-entries: is -1") {
		t.Errorf("got %v", err)
	}
}

package advecttest_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"advect.dev/advecttest"
	"advect.dev/server"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestServerIsReadyAndAltered(t *testing.T) {
	srv := advecttest.Server(t, func(cfg *server.Config) { cfg.Listen = append(cfg.Listen, "127.0.0.1:0") })
	if n := len(srv.URLs()); n != 2 {
		t.Fatalf("%d listeners, want 2", n)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(strings.NewReplacer("ws:", "http:", "/diffusion", "/readyz").Replace(srv.URL()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("/readyz: %s", resp.Status)
	}
}

func TestServersAreApart(t *testing.T) {
	if a, b := advecttest.Server(t).URL(), advecttest.Server(t).URL(); a == b {
		t.Fatalf("two servers at %s", a)
	}
}

// BenchmarkServer starts and closes one server for each operation.
func BenchmarkServer(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := advecttest.Server(b).Close(); err != nil {
			b.Fatal(err)
		}
	}
}

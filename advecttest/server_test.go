package advecttest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
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

func TestSessions(t *testing.T) {
	srv := advecttest.Server(t)
	control, reader := advecttest.Session(t, srv), advecttest.Anonymous(t, srv)
	if p := control.Principal(); p != "control" {
		t.Errorf("principal %q", p)
	}
	if p := reader.Principal(); p != "" {
		t.Errorf("principal %q of an anonymous session", p)
	}
	_, err := control.Topics().AddAndSet(t.Context(), "a", advect.NewSpecification(advect.Int64), datatype.Int64(1))
	if err != nil {
		t.Fatal(err)
	}
	value, err := reader.Topics().Fetch(t.Context(), "a")
	if err != nil || value != datatype.Int64(1) {
		t.Errorf("fetched %v, %v", value, err)
	}
	if err := reader.Topics().Set(t.Context(), "a", datatype.Int64(2)); !errors.Is(err, advect.ErrPermissionDenied) {
		t.Errorf("an anonymous session sets a topic: %v", err)
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

// BenchmarkSession opens and closes one session for each operation.
func BenchmarkSession(b *testing.B) {
	srv := advecttest.Server(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := advecttest.Session(b, srv).Close(); err != nil {
			b.Fatal(err)
		}
	}
}

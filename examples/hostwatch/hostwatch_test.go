package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
	"advect.dev/server"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func newCollector(t *testing.T) *Collector {
	t.Helper()
	c, err := NewCollector("test", func(part string, err error) { t.Logf("no figures for %s: %v", part, err) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// numbers returns the numeric values of a document by JSON pointer.
func numbers(t *testing.T, document any) map[string]float64 {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	var walk func(pointer string, node any)
	walk = func(pointer string, node any) {
		switch node := node.(type) {
		case map[string]any:
			for key, child := range node {
				walk(pointer+"/"+key, child)
			}
		case []any:
			for i, child := range node {
				walk(pointer+"/"+string(rune('0'+i%10)), child)
			}
		case float64:
			found[pointer] = node
		}
	}
	walk("", tree)
	return found
}

func TestSampleHasFiftyFiguresOfThisMachine(t *testing.T) {
	c := newCollector(t)
	first, second := c.Sample(), c.Sample()
	before, after := numbers(t, first), numbers(t, second)
	if len(after) < 50 {
		t.Errorf("%d numeric values, want at least 50", len(after))
	}
	changed := 0
	for pointer, value := range after {
		if before[pointer] != value {
			changed++
		}
	}
	if changed == 0 {
		t.Error("nothing changed from one sample to the next")
	}
	if second.Memory.Total <= 0 || second.Memory.Used <= 0 || second.Memory.Used > second.Memory.Total {
		t.Errorf("memory %+v", second.Memory)
	}
	if second.CPU.Count < 1 || len(second.CPU.Cores) != int(second.CPU.Count) || second.CPU.Total < 0 || second.CPU.Total > 100 {
		t.Errorf("CPU %+v", second.CPU)
	}
	if second.System.Uptime <= 0 || second.System.Name != "test" {
		t.Errorf("system %+v", second.System)
	}
}

func TestSegment(t *testing.T) {
	for name, want := range map[string]string{
		"/": "root", "/var/log": "var-log", "eth0": "eth0", `C:\`: "C", "": "root", "/data/": "data", "cciss/c0d0": "cciss-c0d0",
	} {
		if got := segment(name); got != want {
			t.Errorf("segment(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for _, test := range []struct {
		before, now uint64
		seconds     float64
		want        int64
	}{
		{100, 300, 2, 100}, {0, 1, 3, 0}, {300, 100, 1, 0}, {0, 100, 0, 0},
	} {
		if got := rate(test.before, test.now, test.seconds); got != test.want {
			t.Errorf("rate(%d, %d, %g) = %d, want %d", test.before, test.now, test.seconds, got, test.want)
		}
	}
}

func testWatch(t *testing.T, url string, rounds int64) *Watch {
	return &Watch{
		URL: url, Principal: "control", Password: "password",
		Interval: 10 * time.Millisecond, Retry: 10 * time.Millisecond, Rounds: rounds, Name: "test", Collector: newCollector(t),
	}
}

func TestWatchPublishesAndTidies(t *testing.T) {
	srv := advecttest.Server(t)
	session, err := advect.Open(t.Context(), srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	topics := session.Topics()
	if err := topics.Subscribe(t.Context(), "?hostwatch//"); err != nil {
		t.Fatal(err)
	}
	const rounds = 3
	ended := make(chan error, 1)
	go func() { ended <- testWatch(t, srv.URL(), rounds).Run(t.Context()) }()

	types := map[datatype.Type]int{}
	var seen []int64
	for event, err := range advect.Events[datatype.Value](t.Context(), topics, "?hostwatch/test//") {
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind == advect.EventSubscribe {
			types[datatype.Type(event.Specification.Type)]++
		}
		if event.Path != "hostwatch/test/all" {
			continue
		}
		if event.Kind == advect.EventUnsubscribe {
			break
		}
		if event.Kind == advect.EventValue {
			var sample Sample
			if err := event.Value.(datatype.JSON).Decode(&sample); err != nil {
				t.Fatal(err)
			}
			seen = append(seen, sample.Round)
		}
	}
	if !reflect.DeepEqual(seen, []int64{1, 2, 3}) {
		t.Errorf("rounds %v, want 1, 2, 3", seen)
	}
	if types[datatype.TypeJSON] != 1 || types[datatype.TypeDouble] < 8 || types[datatype.TypeInt64] < 8 || types[datatype.TypeString] < 3 {
		t.Errorf("topics by type: %v", types)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := srv.Topics(); n != 0 {
		t.Errorf("%d topics are left", n)
	}
}

func TestWatchOpensAnotherSessionWhenTheServerForgot(t *testing.T) {
	first := advecttest.Server(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- testWatch(t, first.URL(), 0).Run(ctx) }()
	awaitDocument(t, first.URL())

	address := strings.Split(strings.TrimPrefix(first.URL(), "ws://"), "/")[0]
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := advecttest.Server(t, func(cfg *server.Config) { cfg.Listen = []string{address} })
	awaitDocument(t, second.URL())
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("cancelled: %v", err)
	}
}

func awaitDocument(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	session, err := advect.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, err := range advect.Values[datatype.JSON](ctx, session, "hostwatch/test/all") {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

func TestWatchSaysThatThePrincipalMayNot(t *testing.T) {
	srv := advecttest.Server(t)
	watch := testWatch(t, srv.URL(), 1)
	watch.Principal = "client"
	if err := watch.Run(t.Context()); !errors.Is(err, advect.ErrPermissionDenied) {
		t.Errorf("as a client: %v", err)
	}
	watch.Principal, watch.Password = "control", "wrong"
	if err := watch.Run(t.Context()); !errors.Is(err, advect.ErrAccessDenied) {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestPageIsServedWithTheSDK(t *testing.T) {
	dir := t.TempDir()
	bundle := filepath.Join(dir, "conformance", filepath.FromSlash(sdkBundle))
	if err := os.MkdirAll(filepath.Dir(bundle), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bundle, []byte("the SDK"), 0o644); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(dir, "examples", "hostwatch")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	found, err := findSDK("")
	if err != nil {
		t.Fatal(err)
	}
	handler := pageHandler(found, "ws://host:1234")
	for path, want := range map[string]string{
		"/": "<title>", "/hostwatch.js": "diffusion.connect", "/hostwatch.css": "--accent",
		"/diffusion.js": "the SDK", "/config.json": `{"url":"ws://host:1234"}`,
	} {
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, path, nil))
		body, _ := io.ReadAll(response.Body)
		if response.Code != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("GET %s: %d, without %q", path, response.Code, want)
		}
	}
}

func TestPageSaysHowToGetTheSDK(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := findSDK(""); err == nil || !strings.Contains(err.Error(), "npm ci") {
		t.Errorf("without the SDK: %v", err)
	}
	if _, err := findSDK("missing.js"); err == nil {
		t.Error("a file that is not there is accepted")
	}
}

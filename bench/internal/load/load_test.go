package load

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"advect.dev/bench/peers"
)

// lossy is the floor server with subscribers that ignore every 50th message.
type lossy struct{ peers.Floor }

func (l lossy) Subscriber(id int, topics []string) peers.Session {
	return &lossySession{Session: l.Floor.Subscriber(id, topics)}
}

type lossySession struct {
	peers.Session
	received int
}

func (s *lossySession) Receive(msg []byte, link peers.Link) error {
	if s.received++; s.received%50 == 0 {
		return nil
	}
	return s.Session.Receive(msg, link)
}

// cache is where the servers of the tests are, each built when first needed.
var cache string

func TestMain(m *testing.M) {
	var err error
	if cache, err = os.MkdirTemp("", "peerbench-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}

var (
	buildFloor  = sync.OnceValue(func() error { return build("floor", ".", "advect.dev/bench/servers/floor") })
	buildAdvect = sync.OnceValue(func() error { return build("advect", "../../..", "advect.dev/cmd/advect") })
)

func build(name, dir, source string) error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(cache, "bin", name), source)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func startRig(t *testing.T, a peers.Adapter, doc *Doc) *Rig {
	t.Helper()
	build := buildFloor
	if strings.HasPrefix(a.Name(), "advect") {
		build = buildAdvect
	}
	if err := build(); err != nil {
		t.Fatal(err)
	}
	r, err := Start(a, Config{CacheDir: cache}, doc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func drive(t *testing.T, r *Rig, l Load) Result {
	t.Helper()
	res, err := r.Drive(l)
	if err != nil {
		t.Fatal(err)
	}
	if res.Published == 0 || res.Late+res.Misrouted+res.Corrupt+res.Dropped != 0 {
		t.Errorf("counts: %+v, %d published", res.Counts, res.Published)
	}
	return res
}

func TestEveryMessageArrives(t *testing.T) {
	for _, a := range []peers.Adapter{peers.Floor{}, peers.Advect{}, peers.Advect{ValuesOnly: true}} {
		t.Run(a.Name(), func(t *testing.T) { everyMessageArrives(t, a) })
	}
}

func everyMessageArrives(t *testing.T, a peers.Adapter) {
	doc, err := NewPad(128)
	if err != nil {
		t.Fatal(err)
	}
	r := startRig(t, a, doc)
	if err := r.Open(100, 10); err != nil {
		t.Fatal(err)
	}
	if err := r.Connect(50); err != nil {
		t.Fatal(err)
	}
	whole := a.Name() != "advect" // which sends deltas
	for _, l := range []Load{
		{For: 300 * time.Millisecond, Rate: 1000},
		{For: 300 * time.Millisecond, Window: 64},
	} {
		res := drive(t, r, l)
		if res.Lost() != 0 || res.Expected != res.Published*5 {
			t.Errorf("%d lost of %d; %d published", res.Lost(), res.Expected, res.Published)
		}
		if res.P50 <= 0 || res.P99 < res.P50 || res.Max < res.P99 {
			t.Errorf("latencies %v, %v, %v", res.P50, res.P99, res.Max)
		}
		if res.Server.Total <= 0 {
			t.Errorf("server CPU %v", res.Server.Total)
		}
		if sent := res.Bytes >= res.Delivered*int64(doc.Len()); sent != whole {
			t.Errorf("%d bytes for %d deliveries", res.Bytes, res.Delivered)
		}
	}
}

func TestLossIsCounted(t *testing.T) {
	r := startRig(t, lossy{}, NewRecord(1024))
	if err := r.Open(1, 1); err != nil {
		t.Fatal(err)
	}
	if err := r.Connect(10); err != nil {
		t.Fatal(err)
	}
	res := drive(t, r, Load{For: 500 * time.Millisecond, Rate: 400})
	// A session's 50th, 100th... message is lost; its first is the subscription's answer.
	if want := (res.Published + 1) / 50 * 10; res.Lost() != want {
		t.Errorf("%d lost of %d, want %d", res.Lost(), res.Expected, want)
	}
}

func TestDoc(t *testing.T) {
	pad, err := NewPad(128)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Doc{pad, NewRecord(4096)} {
		for _, seq := range []uint32{1, 2, 300, 100000} {
			p := d.Append(nil, 7, seq, 12345)
			k, s, ts, ok := d.Parse(p)
			if !ok || k != 7 || s != seq || ts != 12345 || len(p) != d.Len() {
				t.Errorf("%s: parsed as %d %d %d %v", p, k, s, ts, ok)
			}
			if !d.Equal(append(p, '}'), 7, seq, 12345) {
				t.Errorf("%s does not equal itself", p)
			}
			p[len(p)-3]++
			if d.Equal(p, 7, seq, 12345) {
				t.Errorf("a changed byte goes unseen")
			}
		}
	}
	// Consecutive records differ in the header and one field only.
	d := NewRecord(4096)
	a, b := d.Append(nil, 0, 500, 1), d.Append(nil, 0, 501, 1)
	for i := range a {
		field := d.fieldAt + 501%d.fields*d.fieldStride
		if a[i] != b[i] && i >= len(header) && (i < field || i >= field+kDigits) {
			t.Errorf("byte %d changed", i)
		}
	}
	if n := d.Len(); n > 4096 || n < 4060 {
		t.Errorf("a record of %d bytes", n)
	}
}

func TestFarStrideVisitsAll(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 100, 1000} {
		seen := make(map[int]bool)
		for k := 0; !seen[k]; k = (k + farStride(n)) % n {
			seen[k] = true
		}
		if len(seen) != n {
			t.Errorf("%d of %d topics", len(seen), n)
		}
	}
}

func TestHist(t *testing.T) {
	var h hist
	for us := range int64(100_000) {
		h.add(us)
	}
	for _, q := range []float64{0.5, 0.99} {
		got, want := h.quantile(q).Microseconds(), int64(q*100_000)
		if got < want || got > want+want/16 {
			t.Errorf("quantile %v: %d us, want %d", q, got, want)
		}
	}
	if h.max() != 99_999*time.Microsecond {
		t.Errorf("max %v", h.max())
	}
}

// collect is a peers.Link that keeps deliveries.
type collect struct{ got [][]byte }

func (c *collect) Send([]byte)      {}
func (c *collect) Ready()           {}
func (c *collect) Answered()        {}
func (c *collect) Deliver(p []byte) { c.got = append(c.got, bytes.Clone(p)) }

// TestStreams cuts the byte streams of NATS and MQTT at every place.
func TestStreams(t *testing.T) {
	nats := []byte("PING\r\nMSG t0 1 5\r\nhello\r\nMSG t0 1 3\r\na\nb\r\n")
	mqtt := append([]byte("\x30\x09\x00\x02t0hello\x30\x83\x01\x00\x02t0"), bytes.Repeat([]byte("x"), 127)...)
	for _, c := range []struct {
		adapter peers.Adapter
		stream  []byte
		want    int
	}{{peers.Nats{}, nats, 2}, {peers.Mochi{}, mqtt, 2}} {
		for cut := range c.stream {
			link := new(collect)
			s := c.adapter.Subscriber(0, []string{"t0"})
			for _, part := range [][]byte{c.stream[:cut], c.stream[cut:]} {
				if err := s.Receive(part, link); err != nil {
					t.Fatal(err)
				}
			}
			if len(link.got) != c.want || string(link.got[0]) != "hello" {
				t.Fatalf("%s cut at %d: %q", c.adapter.Name(), cut, link.got)
			}
		}
	}
}

package inspect

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Faults says what new connections meet, by transport. The empty string and
// "pass" let them through. Others, until changed:
//
//	refuse      the TCP connection is reset
//	silent      the handshake is accepted and never answered
//	404, 503 …  the HTTP request is answered with this status
//	code:NNN    the handshake is answered with this response code
//	version:NN  the handshake is answered in this protocol version
//	garbage     the handshake is answered with bytes that mean nothing
//	close1001   WebSocket: closed with this code instead of an answer
//	text, empty WebSocket: answered with a text or an empty message
//	reconnect   polling: every poll and send is told to reconnect
type Faults struct {
	WebSocket string `json:"websocket"`
	Polling   string `json:"polling"`
}

// faults is what the control server sets.
type faults struct {
	mu         sync.Mutex
	now        Faults
	up, down   time.Duration
	minMs      int
	maxMs      int
	cutsWanted bool
}

func (f *faults) of(transport string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.now.WebSocket
	if transport == overPolling {
		v = f.now.Polling
	}
	if v == "pass" {
		return ""
	}
	return v
}

func (f *faults) delay(up bool) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if up {
		return f.up
	}
	return f.down
}

func (f *faults) cutAfter(rnd *rand.Rand) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.cutsWanted {
		return 0, false
	}
	return time.Duration(f.minMs+rnd.IntN(f.maxMs-f.minMs+1)) * time.Millisecond, true
}

func (f *faults) stopCuts() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutsWanted = false
}

// check reports whether a fault is known.
func checkFault(v string) error {
	switch v {
	case "", "pass", "refuse", "silent", "garbage", "close1001", "text", "empty", "reconnect":
		return nil
	}
	kind, number, ok := strings.Cut(v, ":")
	if !ok {
		number = kind
	} else if kind != "code" && kind != "version" {
		return fmt.Errorf("unknown fault %q", v)
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || ok && n > 255 || !ok && (n < 200 || n > 599) {
		return fmt.Errorf("unknown fault %q", v)
	}
	return nil
}

func (i *Inspector) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { answer(w, i.sessions.stats()) })
	handle(mux, "POST /cut", i.controlCut)
	handle(mux, "POST /block", i.controlBlock)
	handle(mux, "POST /fault", i.controlFault)
	handle(mux, "POST /delay", i.controlDelay)
	handle(mux, "POST /random-cuts", i.controlRandomCuts)
	return mux
}

// handle registers a function of a JSON body that may be empty.
func handle[Req any](mux *http.ServeMux, pattern string, fn func(Req) (any, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var req Req
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
		if err == nil && len(body) > 0 {
			err = json.Unmarshal(body, &req)
		}
		var res any
		if err == nil {
			res, err = fn(req)
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			res = map[string]string{"error": err.Error()}
		}
		answer(w, res)
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

type done struct {
	OK bool `json:"ok"`
}

type cutRequest struct {
	Transport string `json:"transport"`
	Mode      string `json:"mode"`
}

func (i *Inspector) controlCut(q cutRequest) (any, error) {
	switch q.Mode {
	case "":
		q.Mode = "reset"
	case "reset", "fin", "close1001":
	default:
		return nil, fmt.Errorf("unknown mode %q: use reset, fin or close1001", q.Mode)
	}
	return map[string]int{"cut": i.cut(q.Transport, q.Mode)}, nil
}

type blockRequest struct {
	Transport string `json:"transport"`
}

// controlBlock refuses new connections of a transport and drops those there are.
func (i *Inspector) controlBlock(q blockRequest) (any, error) {
	i.faults.mu.Lock()
	switch q.Transport {
	case overWebSocket:
		i.faults.now.WebSocket = "refuse"
	case overPolling:
		i.faults.now.Polling = "refuse"
	case "":
		i.faults.now = Faults{"refuse", "refuse"}
	default:
		i.faults.mu.Unlock()
		return nil, fmt.Errorf("unknown transport %q: use websocket or polling", q.Transport)
	}
	i.faults.mu.Unlock()
	return map[string]int{"cut": i.cut(q.Transport, "reset")}, nil
}

// controlFault changes the faults that it names.
func (i *Inspector) controlFault(q Faults) (any, error) {
	for _, v := range []string{q.WebSocket, q.Polling} {
		if err := checkFault(v); err != nil {
			return nil, err
		}
	}
	i.faults.mu.Lock()
	defer i.faults.mu.Unlock()
	if q.WebSocket != "" {
		i.faults.now.WebSocket = q.WebSocket
	}
	if q.Polling != "" {
		i.faults.now.Polling = q.Polling
	}
	return i.faults.now, nil
}

type delayRequest struct {
	Ms        int    `json:"ms"`
	Direction string `json:"direction"`
}

func (i *Inspector) controlDelay(q delayRequest) (any, error) {
	d := time.Duration(q.Ms) * time.Millisecond
	if d < 0 || d > time.Minute {
		return nil, fmt.Errorf("ms must be 0 to 60000")
	}
	i.faults.mu.Lock()
	defer i.faults.mu.Unlock()
	switch q.Direction {
	case "", "both":
		i.faults.up, i.faults.down = d, d
	case "up":
		i.faults.up = d
	case "down":
		i.faults.down = d
	default:
		return nil, fmt.Errorf("unknown direction %q: use both, up or down", q.Direction)
	}
	return done{true}, nil
}

type randomCuts struct {
	MinMs int  `json:"minMs"`
	MaxMs int  `json:"maxMs"`
	Stop  bool `json:"stop"`
}

// controlRandomCuts has each connection cut at a random time after now or, for
// later ones, after it opens.
func (i *Inspector) controlRandomCuts(q randomCuts) (any, error) {
	if q.Stop {
		i.faults.stopCuts()
		i.mu.Lock()
		defer i.mu.Unlock()
		for c := range i.conns {
			if c.timer != nil {
				c.timer.Stop()
			}
		}
		return done{true}, nil
	}
	if q.MinMs < 0 || q.MaxMs < q.MinMs || q.MaxMs == 0 {
		return nil, fmt.Errorf("give minMs and maxMs with 0 <= minMs <= maxMs")
	}
	i.faults.mu.Lock()
	i.faults.minMs, i.faults.maxMs, i.faults.cutsWanted = q.MinMs, q.MaxMs, true
	i.faults.mu.Unlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	for c := range i.conns {
		if after, ok := i.faults.cutAfter(i.rnd); ok && c.timer == nil {
			c.timer = time.AfterFunc(after, func() { i.cutOne(c, "reset") })
		}
	}
	return done{true}, nil
}

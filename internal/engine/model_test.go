package engine

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// episode is how many operations a world lives for.
const episode = 5000

// TestModel compares the engine with a naive reference, in random operations of
// several clients: every answer, event and topic message must be the one that the
// reference foretells. ADVECT_MODEL_OPS sets the number of operations,
// ADVECT_MODEL_SEED where they begin. Worlds are independent of each other, so a
// failure is repeated by the seed of its world alone.
func TestModel(t *testing.T) {
	total := environment(t, "ADVECT_MODEL_OPS", 40_000)
	if testing.Short() {
		total = min(total, 20_000)
	}
	seed := uint64(environment(t, "ADVECT_MODEL_SEED", 1))
	workers := 2
	var done, next, failed atomic.Int64
	var running sync.WaitGroup
	kept := make(chan *memory, workers)
	for range workers {
		running.Add(1)
		go func() {
			defer running.Done()
			m := newMemory()
			defer func() { kept <- m }()
			for failed.Load() == 0 {
				n := next.Add(episode) - episode
				if n >= int64(total) {
					return
				}
				s := seed + uint64(n/episode)
				ops := sequence(min(episode, total-int(n)))
				if err := live(t, s, ops, m, nil); err != nil {
					failed.Add(1)
					report(t, s, ops, err)
					return
				}
				done.Add(int64(len(ops)))
			}
		}()
	}
	stop := progress(t, total, &done, seed)
	running.Wait()
	stop()
	happened := map[string]int{}
	for range workers {
		for what, n := range (<-kept).tally {
			happened[what] += n
		}
	}
	for _, what := range mustHappen {
		if happened[what] == 0 && failed.Load() == 0 && total >= 40_000 {
			t.Errorf("%d operations and none led to: %s", total, what)
		}
	}
	t.Logf("%v", happened)
	testHeap(t)
}

// mustHappen is what a run without must not be trusted.
var mustHappen = []string{
	"TOPIC_VALUE", "TOPIC_DELTA", "compressed", "values left out", "subscription ended by back pressure",
	"session ended: CONNECTION_LOST", "session ended: CLOSED_BY_CLIENT", "session ended: CLOSED_BY_CONTROLLER", "session ended: MESSAGE_QUEUE_LIMIT_REACHED",
	"RECONNECTED", "RECONNECTED_WITH_MESSAGE_LOSS", "request 50", "request 55", "request 92", "request 93",
	"error 103", "error 106", "error 108", "error 200", "error 500", "error 501", "error 9000", "error 9001", "error 9002",
	"error 9004", "error 9005", "error 9006", "error 9012", "error 9013", "error 9014", "error 9015",
}

// A memory is what the worlds of one goroutine share.
type memory struct {
	selectors map[string]*expression
	tally     map[string]int
}

func newMemory() *memory { return &memory{map[string]*expression{}, map[string]int{}} }

func environment(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if err != nil || n < 0 {
		t.Fatalf("%s=%s: use a number", name, text)
	}
	return n
}

func sequence(n int) []int {
	ops := make([]int, n)
	for i := range ops {
		ops[i] = i
	}
	return ops
}

// live runs the numbered operations in the world of a seed and returns the first
// difference.
func live(t *testing.T, seed uint64, ops []int, m *memory, traced func(string)) (err error) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(change func(*Config)) *Engine { return bareEngine(t, change) }, seed, m)
		w.traced = traced
		at := 0
		defer func() {
			switch p := recover().(type) {
			case nil:
			case difference:
				err = fmt.Errorf("operation %d: %w", at, p)
				w.engine.Close()
			default:
				panic(p)
			}
		}()
		for _, n := range ops {
			at = n
			w.step(n)
		}
		w.rest()
		w.close()
	})
	return err
}

// report shortens the failing operations, as long as they fail, and prints them.
func report(t *testing.T, seed uint64, ops []int, err error) {
	t.Errorf("seed %d: %v", seed, err)
	m := newMemory()
	fails := func(ops []int) bool { return live(t, seed, ops, m, nil) != nil }
	var at int
	if _, scan := fmt.Sscanf(err.Error(), "operation %d:", &at); scan == nil {
		if shorter := ops[:min(len(ops), at+1)]; fails(shorter) {
			ops = shorter
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for size := len(ops) / 2; size > 0 && time.Now().Before(deadline); size /= 2 {
		for from := 0; from < len(ops) && time.Now().Before(deadline); {
			shorter := slices.Concat(ops[:from], ops[min(len(ops), from+size):])
			if fails(shorter) {
				ops = shorter
			} else {
				from += size
			}
		}
	}
	var trace []string
	err = live(t, seed, ops, m, func(op string) { trace = append(trace, op) })
	if n := len(trace); n > 40 {
		trace = trace[n-40:]
	}
	for i := range trace {
		trace[i] = trace[i][:min(len(trace[i]), 400)]
	}
	t.Logf("seed %d in %d operations, of which the last are\n  %s\n%v", seed, len(ops), strings.Join(trace, "\n  "), err)
}

// progress prints how far a long run is.
func progress(t *testing.T, total int, done *atomic.Int64, seed uint64) (stop func()) {
	begun := time.Now()
	line := func() string {
		n := done.Load()
		return fmt.Sprintf("%d operations of %d, %.0f per second, seeds %d to %d", n, total, float64(n)/time.Since(begun).Seconds(), seed, seed+uint64(total-1)/episode)
	}
	ticker := time.NewTicker(10 * time.Second)
	ended := make(chan struct{})
	var printing sync.WaitGroup
	printing.Add(1)
	go func() {
		defer printing.Done()
		for {
			select {
			case <-ticker.C:
				fmt.Println(line())
			case <-ended:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(ended)
		printing.Wait()
		t.Log(line())
	}
}

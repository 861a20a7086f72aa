package gosdk

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

const (
	soakTopics    = 100 // half of them INT64, half JSON
	soakRate      = 20  // updates a second of each
	soakDefault   = 5 * time.Second
	soakSettle    = 90 * time.Second // for the last values to arrive after the last cut
	leastCut      = 500 * time.Millisecond
	mostCut       = 3 * time.Second
	soakReconnect = 100 * time.Millisecond
)

// TestSoak updates topics while the connections of four subscribers are cut at
// random. Within a subscription each counter must come once and in order; when
// a reconnection loses messages the topics are subscribed afresh, and then
// counters may be left out, but never come again. At the end all values must
// be the last ones.
//
// A quarter of the time goes to a server that keeps so few messages for
// reconnections that most of them lose some.
func TestSoak(t *testing.T) {
	duration := soakDefault
	if text := os.Getenv("ADVECT_SOAK"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil || duration <= 0 {
			t.Fatalf("ADVECT_SOAK=%q is not a duration such as 60s", text)
		}
	}
	t.Run("usual-buffer", func(t *testing.T) { soak(t, duration) })
	t.Run("small-buffer", func(t *testing.T) { soak(t, max(duration/4, 3*time.Second), "--recovery-messages", "16") })
}

func soak(t *testing.T, duration time.Duration, serverArgs ...string) {
	rounds := int(duration.Seconds() * soakRate)
	ctx, cancel := context.WithTimeout(t.Context(), duration*4+soakSettle)
	defer cancel()

	// Queues that hold the whole run: on a busy machine a subscriber may fall
	// behind, and conflation is not what this is about. The recovery buffer
	// stays as it is.
	server, err := startServer("127.0.0.1:0", append(serverArgs, "--queue-messages", "1000000", "--queue-bytes", "1GiB")...)
	if err != nil {
		t.Fatal(err)
	}
	defer server.stop()
	between, err := startInspector(server.port, "--quiet")
	if err != nil {
		t.Fatal(err)
	}
	defer between.signal(syscall.SIGTERM)

	publisher, topics := openPublisher(t, ctx, server.port)
	var subscribers []*soakSubscriber
	for _, transport := range []advect.Transport{advect.WebSocket, advect.WebSocket, advect.HTTPPolling, advect.HTTPPolling} {
		subscribers = append(subscribers, openSubscriber(t, ctx, between.port, transport, topics))
	}
	for _, s := range subscribers {
		if err := s.caughtUp(ctx, 0); err != nil {
			t.Fatalf("before the first cut: %v", err)
		}
	}

	order := func(body map[string]any) {
		if err := between.order("/random-cuts", body, nil); err != nil {
			t.Fatal(err)
		}
	}
	order(map[string]any{"minMs": leastCut.Milliseconds(), "maxMs": mostCut.Milliseconds()})
	started := time.Now()
	publish(t, ctx, publisher, topics, rounds)
	took := time.Since(started)
	order(map[string]any{"stop": true})
	settle, cancelSettle := context.WithTimeout(ctx, soakSettle)
	defer cancelSettle()
	for _, s := range subscribers {
		if err := s.caughtUp(settle, rounds); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	t.Logf("%d topics, %d updates each in %v: %.0f updates a second", len(topics), rounds, took.Round(time.Millisecond),
		float64(len(topics)*rounds)/took.Seconds())
	report(t, between, subscribers, topics, rounds)
}

// A soakTopic is a topic whose value tells a counter.
type soakTopic struct {
	path   string
	filler []byte // of a JSON document: what comes between its two numbers; nil for INT64
}

// value returns the value with counter n: a number, or a document of one to four
// KiB with n at its front and 3n at its end.
func (s *soakTopic) value(n int) datatype.Value {
	if s.filler == nil {
		return datatype.Int64(n)
	}
	b := append([]byte{0xa3, 0x61, 'n'}, datatype.Int64(n).Bytes()...) // a map of 3; "n"
	b = append(b, s.filler...)
	return datatype.JSONFromBytes(append(b, datatype.Int64(3*n).Bytes()...))
}

// newSoakTopics returns half counters, half documents.
func newSoakTopics() []*soakTopic {
	var topics []*soakTopic
	for i := range soakTopics {
		topic := &soakTopic{path: fmt.Sprintf("soak/int64/%d", i)}
		if i%2 == 1 {
			text := datatype.String(incompressible(1000 + i*30)).Bytes()
			topic.path = fmt.Sprintf("soak/json/%d", i)
			topic.filler = slices.Concat(datatype.String("text").Bytes(), text, datatype.String("thrice").Bytes())
		}
		topics = append(topics, topic)
	}
	return topics
}

func openPublisher(t *testing.T, ctx context.Context, port string) (*advect.Session, []*soakTopic) {
	t.Helper()
	session, err := advect.Open(ctx, "ws://127.0.0.1:"+port, as("control", advect.WithConnectionTimeout(patience))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	topics := newSoakTopics()
	for _, topic := range topics {
		v := topic.value(0)
		spec := advect.NewSpecification(advect.TopicType(v.Type()))
		if _, err := session.Topics().AddAndSet(ctx, topic.path, spec, v); err != nil {
			t.Fatal(err)
		}
	}
	return session, topics
}

// publish sets each topic to 1, 2 and so on, on a fixed beat.
func publish(t *testing.T, ctx context.Context, session *advect.Session, topics []*soakTopic, rounds int) {
	t.Helper()
	var all sync.WaitGroup
	started := time.Now()
	for _, topic := range topics {
		all.Go(func() {
			for n := 1; n <= rounds; n++ {
				if err := session.Topics().Set(ctx, topic.path, topic.value(n)); err != nil {
					t.Errorf("publisher: %v", err)
					return
				}
				<-time.After(time.Until(started.Add(time.Duration(n) * time.Second / soakRate)))
			}
		})
	}
	all.Wait()
}

// A soakSubscriber checks what one session gets. Its callbacks run one at a time.
type soakSubscriber struct {
	name    string
	session *advect.Session
	events  sessionRecord
	more    chan struct{} // has an element after a value

	mu          sync.Mutex
	topics      map[string]*soakProgress
	values      int
	skipped     int
	refreshes   int
	differences []string
}

// A soakProgress is what is known of one topic.
type soakProgress struct {
	topic      *soakTopic
	subscribed bool
	fresh      bool // no value yet since it was subscribed
	last       int  // counter; -1: none
}

func openSubscriber(t *testing.T, ctx context.Context, port string, transport advect.Transport, topics []*soakTopic) *soakSubscriber {
	t.Helper()
	s := &soakSubscriber{more: make(chan struct{}, 1), topics: map[string]*soakProgress{}}
	s.name = map[advect.Transport]string{advect.WebSocket: "WebSocket", advect.HTTPPolling: "polling"}[transport]
	for _, topic := range topics {
		s.topics[topic.path] = &soakProgress{topic: topic, last: -1}
	}
	var err error
	s.session, err = advect.Open(ctx, "", advect.WithHost("127.0.0.1"), withPort(port), advect.WithTransports(transport),
		advect.WithReconnectStrategy(advect.FixedDelay(soakReconnect)), advect.WithConnectionTimeout(patience),
		advect.WithErrorListener(func(_ *advect.Session, err error) { s.differ("session error: %v", err) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.session.Close() })
	s.events = sessionRecord{newRecord[sessionEvent]("session events")}
	s.session.OnStateChange(s.events.state)
	for _, add := range []func() error{
		func() error { return soakStream[datatype.Int64](s, "?soak/int64//") },
		func() error { return soakStream[datatype.JSON](s, "?soak/json//") },
		func() error { return s.session.Topics().Subscribe(ctx, "?soak//") },
	} {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func soakStream[V datatype.Value](s *soakSubscriber, selector string) error {
	_, err := advect.AddStream(s.session.Topics(), selector, advect.Stream[V]{
		OnSubscribe: func(path string, _ advect.Specification) { s.subscribed(path) },
		OnValue:     func(u advect.Update[V]) { s.value(u.Path, u.Value, u.Skipped) },
		OnUnsubscribe: func(path string, _ advect.Specification, reason advect.UnsubscribeReason) {
			s.unsubscribed(path, reason)
		},
		OnError: func(err error) { s.differ("stream error: %v", err) },
	})
	return err
}

func (s *soakSubscriber) differ(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.differLocked(format, args...)
}

func (s *soakSubscriber) differLocked(format string, args ...any) {
	s.differences = append(s.differences, fmt.Sprintf(format, args...))
}

func (s *soakSubscriber) subscribed(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.topics[path]
	switch {
	case p == nil:
		s.differLocked("subscribed to %s", path)
	case p.subscribed:
		s.differLocked("%s: subscribed twice", path)
	default:
		p.subscribed, p.fresh = true, true
	}
}

func (s *soakSubscriber) unsubscribed(path string, reason advect.UnsubscribeReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.topics[path]
	if p == nil || !p.subscribed || reason != advect.UnsubscribeRefresh {
		s.differLocked("%s: unsubscribed, %s", path, reason)
		return
	}
	p.subscribed = false
	s.refreshes++
}

// value checks that a counter is the next one, or the first of a subscription
// and not one from before the last, and that the rest of the value is right.
func (s *soakSubscriber) value(path string, v datatype.Value, skipped int) {
	counter, err := counterOf(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values++
	s.skipped += skipped
	p := s.topics[path]
	switch {
	case err != nil:
		s.differLocked("%s: %v", path, err)
	case p == nil || !p.subscribed:
		s.differLocked("%s: value %d without a subscription", path, counter)
	case p.fresh && counter < p.last:
		s.differLocked("%s: %d after %d, first of a subscription", path, counter, p.last)
	case !p.fresh && counter != p.last+1+skipped:
		s.differLocked("%s: %d after %d, %d skipped", path, counter, p.last, skipped)
	case !bytes.Equal(v.Bytes(), p.topic.value(counter).Bytes()):
		s.differLocked("%s: the value with counter %d differs", path, counter)
	}
	if p != nil {
		p.fresh, p.last = false, counter
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func counterOf(v datatype.Value) (int, error) {
	if n, ok := v.(datatype.Int64); ok {
		return int(n), nil
	}
	part, found := v.(datatype.JSON).Get("/n")
	if !found {
		return 0, fmt.Errorf("no counter in %.100s", v)
	}
	var n int
	return n, part.Decode(&n)
}

// caughtUp waits until each topic has its last value.
func (s *soakSubscriber) caughtUp(ctx context.Context, last int) error {
	for {
		behind := s.behind(last)
		if behind == "" {
			return nil
		}
		select {
		case <-s.more:
		case <-s.session.Done():
			return fmt.Errorf("the session closed: %w", s.session.Err())
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", behind, ctx.Err())
		}
	}
}

// behind says which topic has not its last value, "" if none.
func (s *soakSubscriber) behind(last int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path, p := range s.topics {
		if p.last != last {
			return fmt.Sprintf("%s is at %d, want %d", path, p.last, last)
		}
	}
	return ""
}

// soakStats is what the inspector has seen of a session.
type soakStats struct {
	Session string         `json:"session"`
	Codes   map[string]int `json:"codes"`
	Down    int            `json:"down"`
	Deltas  int            `json:"deltas"`
	Cuts    int            `json:"cuts"`
}

// report prints a table of the subscribers and judges them.
func report(t *testing.T, between *inspector, subscribers []*soakSubscriber, topics []*soakTopic, rounds int) {
	t.Helper()
	var seen struct {
		Sessions []soakStats `json:"sessions"`
	}
	if err := between.order("/stats", nil, &seen); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "subscriber\tcuts\treconnections\tanswered 105\tanswered 106\tfresh topics\tvalues\tdeltas\tconflated\tunexplained")
	for _, s := range subscribers {
		i := slices.IndexFunc(seen.Sessions, func(one soakStats) bool { return one.Session == s.session.ID().String() })
		if i < 0 {
			t.Fatalf("%s: the inspector has not seen session %s", s.name, s.session.ID())
		}
		stats := seen.Sessions[i]
		s.judge(stats, len(topics), rounds)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", s.name, stats.Cuts, s.events.count(reconnect),
			stats.Codes["105"], stats.Codes["106"], s.refreshes, s.values, stats.Deltas, s.skipped, len(s.differences))
	}
	w.Flush()
	t.Log("\n" + table.String())
	for _, s := range subscribers {
		for _, difference := range s.differences[:min(20, len(s.differences))] {
			t.Errorf("%s: %s", s.name, difference)
		}
		if n := len(s.differences); n > 20 {
			t.Errorf("%s: %d differences in all", s.name, n)
		}
	}
}

// judge compares what a subscriber has seen with what must have happened.
func (s *soakSubscriber) judge(stats soakStats, topics, rounds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	losses := s.refreshes / topics
	switch whole := topics * (rounds + 1); {
	case s.refreshes%topics != 0:
		s.differLocked("%d fresh subscriptions: not all of %d topics", s.refreshes, topics)
	// An answer may have been lost on its way to the client, which then asks again.
	case losses > stats.Codes["106"]:
		s.differLocked("%d times subscribed afresh after %d reconnections with loss", losses, stats.Codes["106"])
	case losses == 0 && s.values+s.skipped != whole:
		s.differLocked("%d values without any loss, want %d", s.values, whole)
	}
	if s.events.count(reconnect) == 0 {
		s.differLocked("never reconnected: nothing was tested")
	}
}

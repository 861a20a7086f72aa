package load

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opener opens sessions of a principal of the test server; "" is anonymous.
func opener(srv *server.Server, principal string) Opener {
	return func(ctx context.Context, opts ...advect.Option) (*advect.Session, error) {
		if principal != "" {
			opts = append(opts, advect.WithPrincipal(principal), advect.WithPassword("password"))
		}
		return advect.Open(ctx, srv.URLs()[0], opts...)
	}
}

// shortly is a scenario that takes a fraction of a second.
func shortly(kind Kind) Scenario {
	s := Scenario{
		Kind: kind, Sessions: 20, Topics: 1, PerSession: 1, Parallel: 10, Size: 128,
		Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond,
	}
	switch kind {
	case Topics:
		s.Topics, s.PerSession = 30, 4
	case Deltas:
		s.Size, s.Changing, s.Rate = 4096, 1, 500
	case Latency:
		s.Rates = []float64{50, 200}
	case Reconnect:
		s.Rate, s.Storms = 100, 2
	}
	return s
}

func mustRun(t *testing.T, target *Target, s Scenario) Result {
	t.Helper()
	r, err := Run(t.Context(), target, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Samples) == 0 {
		t.Error("no samples")
	}
	if r.Sessions.Ready != int64(s.Sessions) || r.Sessions.Connect.Count != int64(s.Sessions) || r.Sessions.FirstValue.Count != int64(s.Sessions) {
		t.Errorf("sessions %+v, want %d of everything", r.Sessions, s.Sessions)
	}
	return r
}

func noTopics(t *testing.T, srv *server.Server) {
	t.Helper()
	n, err := advecttest.Session(t, srv).Topics().Remove(t.Context(), "?bench//")
	if err != nil || n > 0 {
		t.Errorf("%d topics were left behind (%v)", n, err)
	}
}

func TestScenarios(t *testing.T) {
	srv := advecttest.Server(t)
	target := &Target{Open: opener(srv, "admin")}
	atRate := shortly(Fanout)
	atRate.Rate = 100
	for name, s := range map[string]Scenario{
		"connect": shortly(Connect), "fanout": shortly(Fanout), "fanout at a rate": atRate, "topics": shortly(Topics),
		"deltas": shortly(Deltas), "latency": shortly(Latency), "reconnect": shortly(Reconnect),
	} {
		t.Run(name, func(t *testing.T) {
			r := mustRun(t, target, s)
			if len(r.Problems) > 0 {
				t.Errorf("problems %q", r.Problems)
			}
			if r.Server == nil || r.Server.MemoryOpen == 0 {
				t.Error("nothing is known of the server")
			}
			for _, traffic := range r.allTraffic() {
				if traffic.Published == 0 || traffic.Delivered != traffic.Expected || traffic.Latency.Count != traffic.Delivered {
					t.Errorf("published %d, delivered %d of %d, timed %d", traffic.Published, traffic.Delivered, traffic.Expected, traffic.Latency.Count)
				}
				if want := traffic.Published * int64(s.Sessions*s.PerSession) / int64(s.Topics); s.Topics == 1 && traffic.Expected != want {
					t.Errorf("%d deliveries are expected, want %d", traffic.Expected, want)
				}
			}
			switch s.Kind {
			case Deltas:
				if r.Traffic.BytesPerDelivery > 200 {
					t.Errorf("%v bytes a delivery although one field changes", r.Traffic.BytesPerDelivery)
				}
			case Latency:
				if len(r.Steps) == 0 || r.Steps[0].Published != 10 {
					t.Errorf("steps %+v, want the first with 10 updates", r.Steps)
				}
			case Reconnect:
				for _, storm := range r.Storms {
					if storm.Cut != s.Sessions || storm.Current != int64(s.Sessions) || storm.WithoutLoss != int64(s.Sessions) {
						t.Errorf("storm %+v, want %d back without loss", storm, s.Sessions)
					}
				}
				if len(r.Storms) != s.Storms {
					t.Errorf("%d storms, want %d", len(r.Storms), s.Storms)
				}
			}
		})
	}
	noTopics(t, srv)
}

// The session that publishes may not view the server, whose /metrics can be read.
func TestServerMetricsOverHTTP(t *testing.T) {
	srv := advecttest.Server(t)
	address := strings.TrimSuffix(strings.TrimPrefix(srv.URLs()[0], "ws://"), "/diffusion")
	r := mustRun(t, &Target{Open: opener(srv, "control"), MetricsURL: "http://" + address + "/metrics"}, shortly(Connect))
	if r.Server == nil || r.Server.MemoryOpen < 1<<20 {
		t.Errorf("server %+v, want its memory", r.Server)
	}
	if r := mustRun(t, &Target{Open: opener(srv, "control")}, shortly(Connect)); r.Server != nil {
		t.Errorf("server %+v, but it could not be asked", r.Server)
	}
}

// What is lost must not go unnoticed, in the middle or at the end.
func TestLostValuesAreNoticed(t *testing.T) {
	srv := advecttest.Server(t)
	s := shortly(Fanout)
	s.Rate, s.Warmup = 50, 0
	for name, lost := range map[string]uint64{"in the middle": 5, "the last": 11} {
		t.Run(name, func(t *testing.T) {
			target := &Target{Open: opener(srv, "admin"), drop: func(_ int, n uint64) bool { return n == lost }}
			r := mustRun(t, target, s)
			if want := int64(s.Sessions); r.Traffic.Published != 10 || r.Traffic.Lost != want {
				t.Errorf("published %d, lost %d, want 10 and %d", r.Traffic.Published, r.Traffic.Lost, want)
			}
			if want := []string{"values lost: 20"}; !slices.Equal(r.Problems, want) {
				t.Errorf("problems %q, want %q", r.Problems, want)
			}
			report := Report{Results: []Result{r}}
			if report.OK() {
				t.Error("the report says that all is well")
			}
		})
	}
}

// Values that the server says it has conflated are not lost.
func TestConflatedValues(t *testing.T) {
	s := shortly(Fanout)
	s.Sessions, s.Rate, s.Size = 2, 20_000, 16<<10
	s.Properties = map[string]string{advect.PropertyConflation: "always"}
	r := mustRun(t, &Target{Open: opener(advecttest.Server(t), "admin")}, s)
	if r.Traffic.Lost > 0 || r.Traffic.Conflated == 0 || r.Traffic.Delivered+r.Traffic.Conflated != r.Traffic.Expected {
		t.Errorf("delivered %d and conflated %d of %d, lost %d", r.Traffic.Delivered, r.Traffic.Conflated, r.Traffic.Expected, r.Traffic.Lost)
	}
}

func TestInterrupted(t *testing.T) {
	srv := advecttest.Server(t)
	for _, kind := range []Kind{Connect, Fanout, Latency, Reconnect} {
		t.Run(string(kind), func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			s := shortly(kind)
			s.Duration = time.Hour
			target := &Target{Open: opener(srv, "admin"), Progress: func(p Progress) {
				if p.Of == time.Hour && p.Done > 0 {
					stop()
				}
			}}
			r, err := Run(ctx, target, s)
			if !errors.Is(err, context.Canceled) || !r.Begun() {
				t.Fatalf("error %v, begun %v", err, r.Begun())
			}
			if len(r.Problems) > 0 {
				t.Errorf("problems %q", r.Problems)
			}
			for _, traffic := range r.allTraffic() {
				if traffic.Published == 0 || traffic.Delivered == 0 {
					t.Error("what was done until then is missing")
				}
			}
		})
	}
	noTopics(t, srv)
}

func TestMissingPermissionsAreNamed(t *testing.T) {
	srv := advecttest.Server(t)
	_, err := Run(t.Context(), &Target{Open: opener(srv, "")}, shortly(Fanout))
	if !errors.Is(err, advect.ErrPermissionDenied) || !strings.Contains(err.Error(), "MODIFY_TOPIC, UPDATE_TOPIC at bench/") {
		t.Errorf("error %v, want the missing permissions", err)
	}
}

func TestCheck(t *testing.T) {
	for name, change := range map[string]func(*Scenario){
		"sessions":   func(s *Scenario) { s.Sessions = 0 },
		"topics":     func(s *Scenario) { s.Topics = most + 1 },
		"of each":    func(s *Scenario) { s.PerSession = 2 },
		"size":       func(s *Scenario) { s.Size = leastSize - 1 },
		"at a time":  func(s *Scenario) { s.Parallel = 0 },
		"rate":       func(s *Scenario) { s.Rate = -1 },
		"no span":    func(s *Scenario) { s.Duration = 0 },
		"no rates":   func(s *Scenario) { s.Kind = Latency },
		"bad rate":   func(s *Scenario) { s.Kind, s.Rates = Latency, []float64{10, 0} },
		"no storm":   func(s *Scenario) { s.Kind, s.Rate = Reconnect, 1 },
		"storm only": func(s *Scenario) { s.Kind, s.Storms = Reconnect, 1 },
	} {
		s := shortly(Fanout)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if change(&s); s.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

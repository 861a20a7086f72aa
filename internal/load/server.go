package load

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"advect.dev"
)

// The metrics of a server that are of interest here.
const (
	cpuMetric       = "process_cpu_seconds_total"
	memoryMetric    = "process_resident_memory_bytes"
	conflatedMetric = "advect_updates_conflated_total"
)

// A serverReading is what a server said of itself at some time.
type serverReading struct {
	cpu       float64 // seconds of processor time
	memory    float64 // bytes, resident
	conflated float64 // updates
}

// serverMetrics reads metrics: through the session that publishes, if it may, and
// otherwise over HTTP, where a server on the same machine answers.
type serverMetrics struct {
	session *advect.Session
	url     string
}

// metricsWithin is how long reading may take.
const metricsWithin = 5 * time.Second

func newServerMetrics(session *advect.Session, url string) *serverMetrics {
	return &serverMetrics{session, url}
}

// read reports false if there is nothing to read.
func (m *serverMetrics) read(ctx context.Context) (serverReading, bool) {
	ctx, cancel := context.WithTimeout(ctx, metricsWithin)
	defer cancel()
	found := m.ask(ctx)
	if len(found) == 0 && m.url != "" {
		found = m.scrape(ctx)
	}
	_, known := found[cpuMetric]
	return serverReading{found[cpuMetric], found[memoryMetric], found[conflatedMetric]}, known
}

func (m *serverMetrics) ask(ctx context.Context) map[string]float64 {
	servers, err := m.session.Metrics().Read(ctx, advect.MetricsQuery{Names: []string{cpuMetric, memoryMetric, conflatedMetric}})
	if err != nil {
		return nil
	}
	found := make(map[string]float64)
	for _, metrics := range servers {
		for _, metric := range metrics {
			for _, sample := range metric.Samples {
				found[sample.Name] = sample.Value
			}
		}
	}
	return found
}

// scrape reads the text format of Prometheus.
func (m *serverMetrics) scrape(ctx context.Context) map[string]float64 {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return nil
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil
	}
	found := make(map[string]float64)
	for lines := bufio.NewScanner(http.MaxBytesReader(nil, response.Body, 16<<20)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if x, err := strconv.ParseFloat(value, 64); err == nil {
			found[name] = x
		}
	}
	return found
}

package alert

import (
	"math"
	"strconv"
	"strings"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

// A Document is what an alert says of a sample; it becomes the value of a JSON
// topic.
type Document struct {
	Metric     string            `json:"metric_name"`
	Alert      string            `json:"alert_name"`
	Server     string            `json:"server"`
	Timestamp  *int64            `json:"timestamp"` // milliseconds since 1970
	Unit       string            `json:"unit"`
	Dimensions map[string]string `json:"dimensions"`
	Type       string            `json:"alert_type"`
	MetricType string            `json:"metric_type"`
	Value      *float64          `json:"value"` // nil: not a number, or infinite
}

// sampleMatches is the type of all alerts.
const sampleMatches = "sample_matches"

// newDocument returns what an alert says of a sample of a collection.
func newDocument(alert, metric, server string, c *service.MetricCollection, s *service.MetricSample) *Document {
	d := &Document{
		Metric: metric, Alert: alert, Server: server, Unit: c.Unit, Dimensions: make(map[string]string, len(s.Labels)),
		Type: sampleMatches, MetricType: c.Type.String(),
	}
	if s.Timestamp != service.NoTimestamp {
		d.Timestamp = &s.Timestamp
	}
	for _, l := range s.Labels {
		d.Dimensions[l.Name] = l.Value
	}
	if !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0) {
		d.Value = &s.Value
	}
	return d
}

// Encode returns the document as the value of a JSON topic.
func (d *Document) Encode() ([]byte, error) {
	j, err := datatype.NewJSON(d)
	return j.Bytes(), err
}

// texts are the members that are strings.
var texts = map[string]func(*Document) string{
	"metric_name": func(d *Document) string { return d.Metric },
	"alert_name":  func(d *Document) string { return d.Alert },
	"server":      func(d *Document) string { return d.Server },
	"unit":        func(d *Document) string { return d.Unit },
	"alert_type":  func(d *Document) string { return d.Type },
	"metric_type": func(d *Document) string { return d.MetricType },
}

// numbers are the members that are numbers, or null.
var numbers = map[string]func(*Document) *float64{
	"value": func(d *Document) *float64 { return d.Value },
	"timestamp": func(d *Document) *float64 {
		if d.Timestamp == nil {
			return nil
		}
		t := float64(*d.Timestamp)
		return &t
	},
}

// text returns what an insertion <pointer> stands for: the member that a JSON
// pointer, with or without its first slash, names. It returns false if there is none
// or it is no text or number.
func (d *Document) text(pointer string) (string, bool) {
	member, rest, nested := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	if member == "dimensions" && nested {
		value, ok := d.Dimensions[unescape.Replace(rest)]
		return value, ok
	}
	if nested {
		return "", false
	}
	if text := texts[member]; text != nil {
		return text(d), true
	}
	if n := numbers[member]; n != nil {
		if v := n(d); v != nil {
			return strconv.FormatFloat(*v, 'f', -1, 64), true
		}
	}
	return "", false
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~") // RFC 6901

package alert

import (
	"errors"
	"strings"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// sample is what the tests of conditions look at.
func sample(value float64, labels ...string) *Document {
	s := &service.MetricSample{Value: value, Timestamp: service.NoTimestamp}
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels = append(s.Labels, service.MetricLabel{Name: labels[i], Value: labels[i+1]})
	}
	return newDocument("load", "m", "here", &service.MetricCollection{Name: "m", Unit: "bytes", Type: service.Gauge}, s)
}

func TestConditions(t *testing.T) {
	d := sample(5.5, "connector", "High Volume", "a/b", "x")
	for condition, want := range map[string]bool{
		"value > 5":                                true,
		"value>5.5":                                false,
		"VALUE >= 5.5":                             true,
		"value < 55e-1":                            false,
		"value <= +5.5":                            true,
		"value = 5.50":                             true,
		"value != 5.5":                             false,
		"value != -1":                              true,
		"value > 9 or value < 9 and value > 7":     false,
		"value < 9 or value > 9 and value > 7":     true, // and binds tighter
		"(value < 9 or value > 9) and value > 7":   false,
		"((value > 1)) AND(value > 2)":             true,
		"server = 'here'":                          true,
		`server != "here"`:                         false,
		"metric_name = 'm' and alert_name='load'":  true,
		"unit = 'bytes' and metric_type = 'GAUGE'": true,
		"alert_type = 'sample_matches'":            true,
		"alert_type = 'sample\\_matches'":          true,
		"timestamp > 0":                            false, // it is null
		"timestamp != 0":                           false,
		`dimensions = {connector: "High Volume", "a/b": 'x'}`: true,
		`dimensions = {connector: "High Volume"}`:             false,
		`dimensions != {}`: true,
	} {
		for _, text := range []string{
			"select m into topic t where " + condition,
			"\tSELECT m\nINTO_TOPIC t WHERE " + condition + " DISABLE_UNTIL " + condition + "\n",
		} {
			s, err := Parse(text)
			if err != nil {
				t.Errorf("Parse(%q): %v", text, err)
				continue
			}
			if got := s.Matches(d); got != want {
				t.Errorf("%q: matches %v, want %v", text, got, want)
			}
			if s.Disables() && s.Enables(d) != want {
				t.Errorf("%q: enables %v, want %v", text, !want, want)
			}
		}
	}
}

func TestPaths(t *testing.T) {
	d := sample(5.5, "connector", "High Volume", "a/b", "x")
	for path, want := range map[string]string{
		"alerts/load":                   "alerts/load",
		"alerts/<server>/load":          "alerts/here/load",
		"<alert_name>":                  "load",
		"</value>/<unit>":               "5.5/bytes",
		"'a b/<dimensions/connector>'":  "a b/High Volume",
		"x/<dimensions/a~1b>":           "x/x",
		"x/<dimensions/none>":           "",
		"x/<timestamp>":                 "",
		`"<metric_name><metric_type>x"`: "mGAUGEx",
	} {
		s, err := Parse("select m into topic " + path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got, ok := s.Path(d); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v; want %q", path, got, ok, want)
		}
	}
}

func TestWholeSpecification(t *testing.T) {
	s, err := Parse(`Select "a metric" From_Server 's 1' Into Topic x/y With Properties {DONT_RETAIN_VALUE: true, "PRIORITY": 'high'}
		Where value > 1 Disable Until value < 1`)
	if err != nil {
		t.Fatal(err)
	}
	if s.Metric != "a metric" || s.Server != "s 1" || s.Topic.Type != topic.JSON || s.Topic.Properties["DONT_RETAIN_VALUE"] != "true" ||
		s.Topic.Properties["PRIORITY"] != "high" || !s.Disables() {
		t.Errorf("%+v", s)
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "line 1, column 1: expected select, but the alert ends here",
		"selct m":                           `line 1, column 1: expected select, but found "selct"`,
		"select":                            "line 1, column 7: expected the name of a metric, but the alert ends here",
		"select ''":                         "column 8: expected the name of a metric, but found nothing in the quotes",
		"select m":                          "column 9: expected into topic, but the alert ends here",
		"select m into t":                   `column 10: expected into topic, but found "into"`,
		"select m into topic":               "column 20: expected the path of a topic, but the alert ends here",
		"select m into topic a//b":          "column 21:",
		"select m into topic <x>":           "column 21: <x> stands for no text or number",
		"select m into topic a/<":           "has a < without >",
		"select m into topic Ω\n  x":        `line 2, column 3: expected with properties, where, disable until, or the end of the alert, but found "x"`,
		"select m into topic a where Ω > 1": `column 29: expected value, dimensions, server or another member of an alert, but found "Ω"`,
		"select m into topic a where value": "column 34: expected one of",
		"select m into topic a where value > 'x'":                                  "expected a number",
		"select m into topic a where value > 0x1":                                  "expected a number",
		"select m into topic a where value > NaN":                                  "expected a number",
		"select m into topic a where value > 1e999":                                "expected a number",
		"select m into topic a where server > 'a'":                                 "column 29: server compares with = and != only",
		"select m into topic a where server = a":                                   "expected a string in quotes",
		"select m into topic a where server = 'a":                                  "this quote is never closed",
		"select m into topic a where (value > 1":                                   "expected ), and, or or",
		"select m into topic a where value > 1 and":                                "the alert ends here",
		"select m into topic a where value > 1 x":                                  "expected and, or, disable until, or the end of the alert",
		"select m into topic a where dimensions = {a}":                             "expected : after the name",
		"select m into topic a with properties {PRIORITY: b}":                      "PRIORITY",
		"select m into topic a with properties {A: b":                              "expected , or }",
		"select m into topic a with properties {A:b,A:":                            "stands here twice",
		"select m into topic a disable until":                                      "the alert ends here",
		"select m into topic a\xff":                                                "not valid UTF-8",
		"select " + strings.Repeat("m", MaxLength):                                 "longer than",
		"select m into topic a where " + strings.Repeat("(", MaxDepth+1) + "value": "nested more than",
	} {
		_, err := Parse(text)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.80q): %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"select os_system_load_average into_topic alerts/<server>/load where value > 5 disable_until value < 3",
		"select m from server 'x' into topic a with properties {A: b, C: 'd'} where (dimensions = {a: 'b'}) or timestamp = 0",
		"select m into topic '<dimensions/a~1b>'", "select", "",
	} {
		f.Add(seed)
	}
	d := sample(1, "a", "b")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) || e.Line < 1 || e.Column < 1 {
				t.Fatalf("Parse(%q) = %#v", text, err)
			}
			return
		}
		s.Matches(d)
		if s.Disables() {
			s.Enables(d)
		}
		s.Path(d)
	})
}

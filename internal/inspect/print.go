package inspect

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"advect.dev/internal/service"
)

// An event is one line. Of its fields only Kind is always set.
type event struct {
	Seconds      float64 `json:"t"`
	Conn         int     `json:"conn,omitempty"`
	Transport    string  `json:"transport,omitempty"`
	Direction    string  `json:"dir,omitempty"`
	Kind         string  `json:"kind"`
	Number       int64   `json:"number,omitempty"` // of the message in its direction (03 section 4.1)
	Code         int     `json:"code,omitempty"`   // of a connection response
	Name         string  `json:"name,omitempty"`
	Service      string  `json:"service,omitempty"`
	Conversation int64   `json:"conversation,omitempty"`
	ErrorCode    int     `json:"errorCode,omitempty"`
	Topic        int32   `json:"topic,omitempty"`
	Path         string  `json:"path,omitempty"`
	Value        string  `json:"value,omitempty"`
	Delta        int     `json:"delta,omitempty"` // bytes
	Compressed   bool    `json:"compressed,omitempty"`
	Bytes        int     `json:"bytes,omitempty"` // of the message
	Fields       any     `json:"fields,omitempty"`
	Note         string  `json:"note,omitempty"`
	Raw          string  `json:"raw,omitempty"`

	frame []byte
}

type printer struct {
	out   io.Writer
	json  bool
	raw   bool
	start time.Time
	mu    sync.Mutex
}

func newPrinter(out io.Writer, json, raw bool) *printer {
	if out == nil {
		out = io.Discard
	}
	return &printer{out: out, json: json, raw: raw, start: time.Now()}
}

func (p *printer) print(e event) {
	e.Seconds = float64(time.Since(p.start).Microseconds()) / 1e6
	if p.raw {
		e.Raw = hex.EncodeToString(e.frame)
	}
	var line []byte
	if p.json {
		line, _ = json.Marshal(e) // all its fields encode
	} else {
		line = []byte(e.text())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.out.Write(append(line, '\n'))
}

// maxShown is the most characters of a value or of fields in a line of text.
const maxShown = 200

func (e *event) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%9.3f", e.Seconds)
	add := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	if e.Conn != 0 {
		add("#%d %s", e.Conn, e.Transport)
	}
	if e.Direction != "" {
		add("%s", e.Direction)
	}
	if e.Number != 0 {
		add("%d", e.Number)
	}
	add("%s", e.Kind)
	if e.Code != 0 {
		add("%d", e.Code)
	}
	for _, s := range []string{e.Name, e.Service} {
		if s != "" {
			add("%s", s)
		}
	}
	if e.Conversation != 0 {
		add("(%d)", e.Conversation)
	}
	if e.ErrorCode != 0 {
		add("code %d", e.ErrorCode)
	}
	if e.Topic != 0 {
		add("[%d] %s", e.Topic, e.Path)
	}
	if e.Delta != 0 {
		add("delta of %d bytes ->", e.Delta)
	}
	if e.Value != "" {
		add("%s", shorten(e.Value))
	}
	if e.Fields != nil {
		if s, ok := e.Fields.(string); ok {
			add("%s", shorten(s))
		} else if fields, err := json.Marshal(e.Fields); err == nil {
			add("%s", shorten(string(fields)))
		}
	}
	if e.Compressed {
		add("(zlib)")
	}
	if e.Note != "" {
		add("%s", e.Note)
	}
	if e.Raw != "" {
		add("| %s", e.Raw)
	}
	return b.String()
}

func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return fmt.Sprintf("%s… (%d characters)", strings.ToValidUTF8(s[:maxShown], ""), len(s))
}

// describe returns the fields of a service's body for printing: values as text,
// secrets hidden.
func describe(v any) any {
	switch v := v.(type) {
	case service.Empty:
		return nil
	case service.Subscription:
		return map[string]any{"topic": v.Topic, "path": v.Path, "specification": v.Specification.String()}
	case service.Unsubscription:
		return map[string]any{"topic": v.Topic, "reason": v.Reason.String()}
	case service.AddRequest:
		return map[string]any{"path": v.Path, "specification": v.Specification.String()}
	case service.SetRequest:
		return constrained(map[string]any{"path": v.Path, "type": v.Type.String(), "value": show(v.Type, v.Value)}, &v.Constraint)
	case service.AddAndSetRequest:
		return constrained(map[string]any{"path": v.Path, "specification": v.Specification.String(),
			"value": show(v.Specification.Type, v.Value)}, &v.Constraint)
	case service.PrincipalRequest:
		return map[string]any{"principal": v.Principal, "credentials": v.Credentials.String()}
	case service.ReAuthenticateRequest:
		return map[string]any{"principal": v.Principal, "credentials": v.Credentials.String(), "properties": v.Properties}
	case service.SessionRequest:
		return map[string]any{"session": v.Session.String()}
	case service.QueryResult:
		return map[string]any{"topics": fetched(v.Topics), "more": v.More}
	case service.Permissions:
		return map[string]any{"permissions": hex.EncodeToString(v)}
	}
	return v
}

func constrained(fields map[string]any, c *service.Constraint) any {
	if c.Kind != service.Unconstrained {
		fields["constraint"] = c
	}
	return fields
}

func fetched(topics []service.FetchedTopic) []string {
	list := make([]string, len(topics))
	for i, t := range topics {
		list[i] = t.Path + " " + t.Type.String()
		if t.Value != nil {
			list[i] += " " + show(t.Type, *t.Value)
		}
	}
	return list
}

package engine

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// A modelSpec is a specification as a client writes it and as it is stored.
type modelSpec struct {
	given, normal topic.Specification
	invalid       bool
	retained      topic.Range
	eventType     topic.Type
}

func (s *modelSpec) topic(path string) *modelTopic {
	n := &modelTopic{path: path, spec: s.normal, valueType: s.normal.Type, retained: s.retained}
	if n.series() {
		n.valueType = s.eventType
	}
	return n
}

var (
	valueTypes     = []topic.Type{topic.JSON, topic.String, topic.Int64, topic.Double, topic.Binary, topic.RecordV2}
	dataTypes      = map[topic.Type]string{topic.JSON: "json", topic.String: "string", topic.Int64: "int64", topic.Double: "double", topic.Binary: "binary", topic.RecordV2: "record_v2"}
	retainedRanges = map[string]topic.Range{
		"limit 3": {Limit: 3, Last: topic.NoLast}, "last 50ms limit 6": {Limit: 6, Last: 50e6}, "LAST 1s": {Limit: topic.NoLimit, Last: 1e9},
	}
)

// randomSpec returns one of a few hundred specifications.
func randomSpec(r *rand.Rand) modelSpec {
	s := modelSpec{retained: topic.Range{Limit: 10, Last: topic.NoLast}}
	properties, stored := map[string]string{}, map[string]string{}
	property := func(oneIn int, key string, values ...string) {
		if r.IntN(oneIn) == 0 {
			properties[key] = values[r.IntN(len(values))]
			stored[key] = strings.ToLower(properties[key])
		}
	}
	s.given.Type = append(valueTypes, topic.TimeSeries)[r.IntN(7)]
	conflation := []string{"off", "Conflate", "unsubscribe", "always"}
	if s.given.Type == topic.TimeSeries {
		conflation = []string{"OFF", "unsubscribe"}
		s.eventType = valueTypes[r.IntN(len(valueTypes))]
		property(1, topic.TimeSeriesEventValueType, dataTypes[s.eventType], strings.ToUpper(dataTypes[s.eventType]))
		property(3, topic.TimeSeriesSubscriptionRange, "limit 0", "limit 2", "last 20ms")
		if r.IntN(2) == 0 {
			text := []string{"limit 3", "last 50ms limit 6", "LAST 1s"}[r.IntN(3)]
			s.retained = retainedRanges[text]
			properties[topic.TimeSeriesRetainedRange], stored[topic.TimeSeriesRetainedRange] = text, text
		}
	}
	property(2, topic.Conflation, conflation...)
	property(3, topic.Priority, "low", "HIGH", "default")
	property(4, topic.TidyOnUnsubscribe, "true", "false")
	property(5, topic.PublishValuesOnly, "true", "False")
	property(6, topic.DontRetainValue, "true", "FALSE")
	property(3, topic.Compression, "off", "low", "High")
	property(3, topic.ValidateValues, "True", "false")
	s.normal = topic.Specification{Type: s.given.Type, Properties: stored}
	if r.IntN(30) == 0 {
		s.invalid = true
		key := []string{topic.Priority, topic.Conflation, topic.DontRetainValue, topic.Owner, topic.Removal}[r.IntN(5)]
		properties[key] = "nonsense"
	}
	s.given.Properties = properties
	return s
}

// padding makes values that are worth a delta, and compression.
var padding = strings.Repeat("The quick brown fox jumps over the lazy dog. ", 40)

// randomValue returns a value of a type, or bytes that are none.
func (ref *reference) randomValue(r *rand.Rand, t topic.Type) (value []byte, valid bool) {
	if r.IntN(20) == 0 {
		return malformed(r, t)
	}
	if t.HasNull() && r.IntN(8) == 0 {
		return []byte{0xf6}, true
	}
	long := ""
	if r.IntN(4) == 0 {
		long = padding[:r.IntN(len(padding))]
	}
	switch t {
	case topic.JSON:
		n := randomDocument(r)
		value = n.cbor(nil)
		ref.documents[string(value)] = n
	case topic.String:
		value = cborText(nil, []string{"", "x", "2", "1.5", long, long + "!"}[r.IntN(6)])
	case topic.Int64:
		value = cborInt(nil, []int64{-1, 0, 1, 2, 300, 1 << 40}[r.IntN(6)])
	case topic.Double:
		value = cborDouble(nil, []float64{-1, 0.5, 1, 1.5, 2, 1e300}[r.IntN(6)])
	case topic.RecordV2:
		value = []byte([]string{"", "a\x02b\x01c", long, "x" + long}[r.IntN(4)])
	default:
		value = []byte(long)
		for range r.IntN(6) {
			value = append(value, byte(r.IntN(256)))
		}
	}
	return value, true
}

// malformed returns bytes that are no value of a type, if there are any.
func malformed(r *rand.Rand, t topic.Type) (value []byte, valid bool) {
	if t == topic.Binary {
		return []byte{}, true
	}
	if t == topic.RecordV2 {
		return []byte{0xff, 0xfe}, false
	}
	if r.IntN(3) == 0 {
		return []byte{}, false
	}
	return map[topic.Type][]byte{topic.JSON: {0xbf, 0x61, 'a'}, topic.String: {0x65, 'a'}, topic.Int64: {0xf5}, topic.Double: {0x01}}[t], false
}

// A scalar is a text or a number as conditions see it.
type scalar struct {
	text   string
	number *big.Rat // nil: not a number
}

func textScalar(s string) *scalar {
	n, isNumber := new(big.Rat).SetString(s)
	if !isNumber {
		n = nil
	}
	return &scalar{s, n}
}

func intScalar(n int64) *scalar {
	return &scalar{strconv.FormatInt(n, 10), new(big.Rat).SetInt64(n)}
}

func doubleScalar(f float64) *scalar {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	if f == 1e300 {
		text = "1.0E300"
	}
	return &scalar{text, new(big.Rat).SetFloat64(f)}
}

// scalar returns what a value of the generator is, or nil.
func scalarValue(t topic.Type, b []byte) *scalar {
	for _, n := range []int64{-1, 0, 1, 2, 300, 1 << 40} {
		if t == topic.Int64 && bytes.Equal(b, cborInt(nil, n)) {
			return intScalar(n)
		}
	}
	for _, f := range []float64{-1, 0.5, 1, 1.5, 2, 1e300} {
		if t == topic.Double && bytes.Equal(b, cborDouble(nil, f)) {
			return doubleScalar(f)
		}
	}
	if t == topic.String && b[0]>>5 == 3 {
		for head := 1; head <= 3 && head <= len(b); head++ {
			if bytes.Equal(cborText(nil, string(b[head:])), b) {
				return textScalar(string(b[head:]))
			}
		}
	}
	return nil
}

func (n *node) scalar() *scalar {
	switch n.kind {
	case '"':
		return textScalar(n.s)
	case '0':
		return intScalar(n.n)
	case '.':
		return doubleScalar(n.f)
	}
	return nil
}

// operand is what a condition compares with.
type operand struct {
	condition service.Condition
	is        *scalar
}

var operands = []operand{
	{service.Condition{Type: service.ConditionString, Value: cborText(nil, "x")}, textScalar("x")},
	{service.Condition{Type: service.ConditionString, Value: cborText(nil, "2")}, textScalar("2")},
	{service.Condition{Type: service.ConditionString, Value: cborText(nil, "1.5")}, textScalar("1.5")},
	{service.Condition{Type: service.ConditionInt64, Value: cborInt(nil, 2)}, intScalar(2)},
	{service.Condition{Type: service.ConditionInt64, Value: cborInt(nil, -1)}, intScalar(-1)},
	{service.Condition{Type: service.ConditionDouble, Value: cborDouble(nil, 1.5)}, doubleScalar(1.5)},
	{service.Condition{Type: service.ConditionDouble, Value: cborDouble(nil, 2)}, doubleScalar(2)},
	{service.Condition{Type: service.ConditionNull, Value: []byte{0xf6}}, nil},
	{service.Condition{Type: service.ConditionBoolean, Value: []byte{0xf5}}, nil},
}

func randomCondition(r *rand.Rand, current []byte) service.Condition {
	if r.IntN(3) == 0 {
		if current == nil || r.IntN(4) == 0 {
			current = []byte{0x61, 'x'}
		}
		return service.Condition{Operator: service.OperatorIs, Type: service.ConditionBinary, Value: current}
	}
	c := operands[r.IntN(len(operands))].condition
	c.Operator = service.OperatorEqual + service.Operator(r.IntN(6))
	return c
}

func operandOf(c *service.Condition) *scalar {
	for _, o := range operands {
		if o.condition.Type == c.Type && bytes.Equal(o.condition.Value, c.Value) {
			return o.is
		}
	}
	panic(fmt.Sprintf("condition %+v is not the model's", c))
}

// compares evaluates a condition on a text or number, or on nil for neither
// (23 sections 3.2 and 3.3).
func (s *scalar) compares(c *service.Condition) bool {
	with := operandOf(c)
	if s == nil {
		return false
	}
	if c.Type == service.ConditionString {
		return c.Operator == service.OperatorEqual && s.text == with.text || c.Operator == service.OperatorNotEqual && s.text != with.text
	}
	if s.number == nil {
		return false
	}
	order := s.number.Cmp(with.number)
	return map[service.Operator]bool{
		service.OperatorEqual: order == 0, service.OperatorNotEqual: order != 0,
		service.OperatorGreater: order > 0, service.OperatorGreaterOrEqual: order >= 0,
		service.OperatorLess: order < 0, service.OperatorLessOrEqual: order <= 0,
	}[c.Operator]
}

// randomConstraint returns a constraint, mostly none.
func (ref *reference) randomConstraint(r *rand.Rand, path string, depth int) service.Constraint {
	var current []byte
	if n := ref.topics[path]; n != nil {
		current = n.current()
	}
	if depth == 3 && r.IntN(4) > 0 {
		return service.Constraint{}
	}
	switch k := service.ConstraintKind(r.IntN(8)); k {
	case service.Conjunction, service.Disjunction:
		if depth == 0 {
			return service.Constraint{}
		}
		left, right := ref.randomConstraint(r, path, depth-1), ref.randomConstraint(r, path, depth-1)
		return service.Constraint{Kind: k, Left: &left, Right: &right}
	case service.TopicValue:
		return service.Constraint{Kind: k, Condition: randomCondition(r, current)}
	case service.Locked:
		return service.Constraint{Kind: k, Lock: "lock", Sequence: 3} // which nobody holds
	case service.PartialJSON:
		c := service.Constraint{Kind: k, With: map[string]service.Condition{}}
		for range r.IntN(3) {
			var part []byte
			pointer := randomPointer(r)
			if doc := ref.documents[string(current)]; doc != nil {
				if p := doc.find(pointerTokens(pointer)); p != nil {
					part = p.cbor(nil)
				}
			}
			c.With[pointer] = randomCondition(r, part)
		}
		for range r.IntN(2) {
			c.Without = append(c.Without, randomPointer(r))
		}
		return c
	default:
		return service.Constraint{Kind: k}
	}
}

// satisfied evaluates a constraint on a topic, or on nil for none (23 section 3.1).
func (ref *reference) satisfied(c *service.Constraint, n *modelTopic) bool {
	if c == nil {
		return true
	}
	switch c.Kind {
	case service.Unconstrained:
		return true
	case service.Conjunction:
		return ref.satisfied(c.Left, n) && ref.satisfied(c.Right, n)
	case service.Disjunction:
		return ref.satisfied(c.Left, n) || ref.satisfied(c.Right, n)
	case service.NoTopic:
		return n == nil
	case service.NoValue:
		return n != nil && n.current() == nil
	case service.TopicValue:
		if n == nil || n.current() == nil {
			return false
		}
		if c.Condition.Operator == service.OperatorIs {
			return bytes.Equal(n.current(), c.Condition.Value)
		}
		if c.Condition.Type == service.ConditionNull || c.Condition.Type == service.ConditionBoolean || !n.valueType.HasNull() {
			return false
		}
		return scalarValue(n.valueType, n.current()).compares(&c.Condition)
	case service.PartialJSON:
		return n != nil && n.valueType == topic.JSON && n.current() != nil && ref.partly(c, ref.documents[string(n.current())])
	}
	return false // nobody holds a lock
}

// partly evaluates the conditions on parts of a document, or of nil for what is
// none.
func (ref *reference) partly(c *service.Constraint, doc *node) bool {
	if doc == nil {
		return false
	}
	for pointer, condition := range c.With {
		part := doc.find(pointerTokens(pointer))
		switch {
		case part == nil:
			return false
		case condition.Operator == service.OperatorIs:
			if !bytes.Equal(part.cbor(nil), condition.Value) {
				return false
			}
		case condition.Type == service.ConditionNull:
			if !(condition.Operator == service.OperatorEqual && part.kind == 'n' || condition.Operator == service.OperatorNotEqual && part.kind != 'n') {
				return false
			}
		case condition.Type == service.ConditionBoolean:
			if condition.Operator != service.OperatorEqual || part.kind != 't' {
				return false
			}
		case !part.scalar().compares(&condition):
			return false
		}
	}
	for _, pointer := range c.Without {
		if doc.find(pointerTokens(pointer)) != nil {
			return false
		}
	}
	return true
}

package service

import "advect.dev/internal/wire"

// Older services that read metrics, which the platform's console uses
// (34 section 2).
var (
	GetServerMetrics      = declare[Empty, ServerMetrics](142, "GET_SERVER_METRICS")
	GetEntityClassMetrics = declare[EntityClassRequest, EntityClassMetrics](145, "GET_MEASURED_ENTITY_CLASS_METRICS")
	FetchJMXValues        = declare[JMXRequest, JMXResult](149, "FETCH_JMX_VALUES")
)

// Numbers has metrics by name.
type Numbers map[string]Number

// A Number is the value of a metric.
type Number int64

func (m *Number) append(b []byte) []byte { return wire.AppendInt64(b, int64(*m)) }
func (m *Number) read(r *wire.Reader)    { *m = Number(r.Int64()) }

func (m *Numbers) append(b []byte) []byte { return appendMap(b, *m) }
func (m *Numbers) read(r *wire.Reader)    { *m = readMap[Number](r, 2) }

// ServerMetrics has the metrics of servers by name.
type ServerMetrics map[string]Numbers

func (m *ServerMetrics) append(b []byte) []byte { return appendMap(b, *m) }
func (m *ServerMetrics) read(r *wire.Reader)    { *m = readMap[Numbers](r, 2) }

// An EntityClassRequest asks for the metrics of a class of what is measured.
type EntityClassRequest struct {
	Class  string
	Server *string // nil: all servers
}

func (m *EntityClassRequest) append(b []byte) []byte {
	return wire.AppendOptional(wire.AppendString(b, m.Class), m.Server, wire.AppendString)
}

func (m *EntityClassRequest) read(r *wire.Reader) {
	m.Class, m.Server = r.String(), wire.ReadOptional(r, (*wire.Reader).String)
}

// EntityClassMetrics is a table for each server, or other label of the outer
// kind; its rows are groups and its columns the metrics.
type EntityClassMetrics struct {
	Metrics []string // names
	Tables  []EntityTable
}

func (m *EntityClassMetrics) append(b []byte) []byte {
	return appendList(wire.AppendStrings(b, m.Metrics), m.Tables)
}

func (m *EntityClassMetrics) read(r *wire.Reader) {
	m.Metrics, m.Tables = r.Strings(), readList[EntityTable](r, 2)
}

// An EntityTable is one table of EntityClassMetrics.
type EntityTable struct {
	Labels []string
	Rows   []EntityRow
}

func (m *EntityTable) append(b []byte) []byte {
	return appendList(wire.AppendStrings(b, m.Labels), m.Rows)
}
func (m *EntityTable) read(r *wire.Reader) {
	m.Labels, m.Rows = r.Strings(), readList[EntityRow](r, 2)
}

// An EntityRow is one row of an EntityTable.
type EntityRow struct {
	Labels []string
	Values []Number // one for each of the metrics
}

func (m *EntityRow) append(b []byte) []byte {
	return appendList(wire.AppendStrings(b, m.Labels), m.Values)
}
func (m *EntityRow) read(r *wire.Reader) { m.Labels, m.Values = r.Strings(), readList[Number](r, 1) }

// A JMXRequest asks for the attributes of managed objects.
type JMXRequest struct {
	Names     []string // of objects
	Clustered bool     // of all servers
}

func (m *JMXRequest) append(b []byte) []byte {
	return wire.AppendBool(wire.AppendStrings(b, m.Names), m.Clustered)
}

func (m *JMXRequest) read(r *wire.Reader) { m.Names, m.Clustered = r.Strings(), r.Bool() }

// JMXResult has the answers of servers by name.
type JMXResult map[string]JMXValues

func (m *JMXResult) append(b []byte) []byte { return appendMap(b, *m) }
func (m *JMXResult) read(r *wire.Reader)    { *m = readMap[JMXValues](r, 1+minJMXValues) }

// JMXValues is one server's answer.
type JMXValues struct {
	CBOR []byte             // a map, if Err is nil
	Err  *wire.ServiceError // why there is no answer
}

// minJMXValues is the fewest bytes that JMXValues take.
const minJMXValues = 2

func (m *JMXValues) append(b []byte) []byte {
	if m.Err != nil {
		return wire.AppendErrorReason(append(b, 1), *m.Err)
	}
	return wire.AppendBytes(append(b, 0), m.CBOR)
}

func (m *JMXValues) read(r *wire.Reader) {
	if m.Err = wire.ReadOptional(r, (*wire.Reader).ErrorReason); m.Err == nil {
		m.CBOR = r.Bytes()
	}
}

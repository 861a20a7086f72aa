package service

import "advect.dev/internal/wire"

// FetchLogEntries reads the log of the server (34 section 4).
var FetchLogEntries = declare[LogRequest, LogEntries](132, "FETCH_LOG_ENTRIES_SERVICE")

// A LogRequest asks for a part of the log.
type LogRequest struct {
	First int64 // index of an entry, from 0
	Count int64
}

func (m *LogRequest) append(b []byte) []byte {
	return wire.AppendInt64(wire.AppendInt64(b, m.First), m.Count)
}

func (m *LogRequest) read(r *wire.Reader) { m.First, m.Count = r.Int64(), r.Int64() }

// LogEntries is a part of the log. Without a log all fields are 0.
type LogEntries struct {
	First     int64
	Count     int64
	Available int64 // entries that there are or were: the last has the index Available-1
	FirstLine int64 // number of the line on which the first entry begins
	Text      []byte
	File      int64 // id of the file that the log was read from
}

func (m *LogEntries) append(b []byte) []byte {
	for _, n := range [...]int64{m.First, m.Count, m.Available, m.FirstLine} {
		b = wire.AppendInt64(b, n)
	}
	return wire.AppendInt64(wire.AppendBytes(b, m.Text), m.File)
}

func (m *LogEntries) read(r *wire.Reader) {
	m.First, m.Count, m.Available, m.FirstLine = r.Int64(), r.Int64(), r.Int64(), r.Int64()
	m.Text, m.File = r.Bytes(), r.Int64()
}

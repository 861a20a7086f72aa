package main

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"advect.dev/datatype"
)

// FuzzExactValue checks that what export writes of any value, well formed or
// not, gives the same bytes back.
func FuzzExactValue(f *testing.F) {
	for _, v := range []datatype.Value{
		datatype.MustJSON(map[string]any{"a": []any{1, 2.5, nil, true, "<é>"}}), datatype.JSON{}, datatype.Binary{0, 1}, datatype.Binary{},
		datatype.String("<a>\u2028"), datatype.String(""), datatype.Int64(math.MinInt64), datatype.Double(1e300), datatype.Double(1),
		datatype.Double(math.NaN()), datatype.Double(math.Inf(-1)), datatype.Double(math.Copysign(0, -1)),
		datatype.NewRecordV2([]string{"a", ""}, []string{"b"}), datatype.NewRecordV2(),
	} {
		f.Add(byte(v.Type()), v.Bytes())
	}
	f.Add(byte(datatype.TypeJSON), []byte{0xa1, 0x61, 'a', 0x42, 0, 0xff}) // a byte string
	f.Add(byte(datatype.TypeJSON), []byte{0x9f})                           // cut off
	f.Add(byte(datatype.TypeString), []byte{0x62, 0xff, 0xfe})             // not UTF-8
	f.Add(byte(datatype.TypeInt64), []byte{0x18, 0x01})                    // not the shortest form
	f.Fuzz(func(t *testing.T, typ byte, b []byte) {
		valueType := datatype.Type(typ)
		if !datatype.CanRead[datatype.Value](valueType) {
			return
		}
		value, present, err := datatype.Read[datatype.Value](valueType, b)
		if err != nil || !present {
			value = encoded{valueType, b}
		}
		text, err := json.Marshal(topicRecord{Path: "a", exactValue: exactOf(value, b)})
		if err != nil {
			t.Fatal(err)
		}
		var back topicRecord
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		got, err := back.read(valueType)
		if err != nil || !back.present() || !bytes.Equal(got.Bytes(), b) {
			t.Errorf("%s %x is written as %s, which gives %v %v", valueType, b, text, got, err)
		}
	})
}

// FuzzImportLine checks that no line of a file does harm.
func FuzzImportLine(f *testing.F) {
	f.Add([]byte(`{"path":"a","type":"JSON","value":{"x":1}}`))
	f.Add([]byte(`{"path":"a","type":"BINARY","bytes":"AA=="}`))
	f.Add([]byte(`{"path":"a","type":"TIME_SERIES","properties":{"TIME_SERIES_EVENT_VALUE_TYPE":"string"},"events":[{"value":"x"}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRecord(line)
		if err != nil {
			return
		}
		for typ := datatype.TypeBinary; typ <= datatype.TypeRecordV2; typ++ {
			if r.present() {
				_, _ = r.read(typ)
			}
			for i := range r.Events {
				_, _ = r.Events[i].read(typ)
			}
		}
	})
}

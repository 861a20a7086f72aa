package datatype

import (
	"fmt"
	"testing"
)

var sampleMap = map[string]any{
	"sym": "EURUSD", "bid": 1.0834, "ask": 1.0836, "size": 5000000, "live": true,
	"tags": []any{"fx", "major"}, "venue": map[string]any{"id": 17, "name": "London"},
}

var sampleText = []byte(`{"sym":"EURUSD","bid":1.0834,"ask":1.0836,"size":5000000,"live":true,` +
	`"tags":["fx","major"],"venue":{"id":17,"name":"London"}}`)

func BenchmarkNewJSON(b *testing.B) {
	for name, v := range map[string]any{"struct": sampleQuote, "map": sampleMap, "string": "hello"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewJSON(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseJSON(b *testing.B) {
	b.SetBytes(int64(len(sampleText)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseJSON(sampleText); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	b.Run("struct", func(b *testing.B) { benchmarkDecode[quote](b, MustJSON(sampleQuote)) })
	b.Run("any", func(b *testing.B) { benchmarkDecode[any](b, MustJSON(sampleMap)) })
}

func benchmarkDecode[T any](b *testing.B, j JSON) {
	b.ReportAllocs()
	for b.Loop() {
		var v T
		if err := j.Decode(&v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMarshalJSON(b *testing.B) {
	j := MustJSON(sampleMap)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	j := MustJSON(sampleMap)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := j.Get("/venue/id"); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	cbor := MustJSON(sampleMap).Bytes()
	b.SetBytes(int64(len(cbor)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Validate(TypeJSON, cbor); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	text := String("hello, world").Bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Read[String](TypeString, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecordV2(b *testing.B) {
	var records [][]string
	for range 20 {
		records = append(records, []string{"EURUSD", "1.0834", "1.0836", "5000000", "London"})
	}
	value := NewRecordV2(records...)
	schema := mustSchema(b, `{"records":[{"name":"quote","min":0,"max":-1,"fields":[{"name":"symbol"},`+
		`{"name":"bid","type":"DECIMAL"},{"name":"ask","type":"DECIMAL"},{"name":"size","type":"INTEGER"},{"name":"venue"}]}]}`)
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			NewRecordV2(records...)
		}
	})
	b.Run("field", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := value.Field(19, 3); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("records", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for record := range value.Records() {
				if len(record) != 5 {
					b.Fatal(record)
				}
			}
		}
	})
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := schema.Validate(value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPatchApply(b *testing.B) {
	rows := map[string]any{}
	for i := range 38 {
		rows[fmt.Sprint("row", i)] = sampleMap
	}
	doc := MustJSON(map[string]any{"rows": rows}) // about 4 KiB
	for name, text := range map[string]string{
		"one replace": `[{"op":"replace","path":"/rows/row7/bid","value":1.0835}]`,
		"four operations": `[{"op":"test","path":"/rows/row1/live","value":true},{"op":"replace","path":"/rows/row7/bid","value":1.0835},` +
			`{"op":"add","path":"/rows/row7/tags/-","value":"liquid"},{"op":"remove","path":"/rows/row9"}]`,
		"failing test": `[{"op":"test","path":"/rows/row7/bid","value":7}]`,
	} {
		p := mustPatch(b, text)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc.Bytes())))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Apply(doc); err != nil && name != "failing test" {
					b.Fatal(err)
				}
			}
		})
	}
}

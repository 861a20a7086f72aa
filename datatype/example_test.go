package datatype_test

import (
	"errors"
	"fmt"

	"advect.dev/datatype"
)

type Quote struct {
	Symbol string  `json:"sym"`
	Bid    float64 `json:"bid"`
	Size   int64   `json:"size"`
}

func ExampleNewJSON() {
	doc, err := datatype.NewJSON(Quote{Symbol: "EURUSD", Bid: 1.0834, Size: 5_000_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(doc)
	fmt.Println(len(doc.Bytes()), "bytes")
	// Output:
	// {"sym":"EURUSD","bid":1.0834,"size":5000000}
	// 36 bytes
}

func ExampleMustJSON() {
	doc := datatype.MustJSON(map[string]any{"status": "open", "players": []string{"ann", "bob"}})
	fmt.Println(doc)
	// Output: {"players":["ann","bob"],"status":"open"}
}

func ExampleParseJSON() {
	doc, err := datatype.ParseJSON([]byte(`{ "status": "open", "score": [3, 1] }`))
	fmt.Println(doc, err)

	_, err = datatype.ParseJSON([]byte(`{ "status": open }`))
	fmt.Println(err)
	// Output:
	// {"status":"open","score":[3,1]} <nil>
	// parse JSON: invalid character 'o' looking for beginning of value
}

func ExampleJSONFromBytes() {
	doc := datatype.JSONFromBytes([]byte{0x83, 0x01, 0x02, 0x03})
	fmt.Println(doc)
	// Output: [1,2,3]
}

func ExampleJSON_Decode() {
	doc := datatype.MustJSON(map[string]any{"sym": "EURUSD", "bid": 1.0834, "size": 5_000_000})
	var q Quote
	if err := doc.Decode(&q); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d %s at %v\n", q.Size, q.Symbol, q.Bid)
	// Output: 5000000 EURUSD at 1.0834
}

func ExampleJSON_Get() {
	doc := datatype.MustJSON(map[string]any{
		"positions": []Quote{{"EURUSD", 1.0834, 10}, {"GBPUSD", 1.2711, 20}},
	})
	bid, ok := doc.Get("/positions/1/bid")
	fmt.Println(bid, ok)

	_, ok = doc.Get("/positions/2")
	fmt.Println(ok)
	// Output:
	// 1.2711 true
	// false
}

func ExampleJSON_Equal() {
	a, _ := datatype.ParseJSON([]byte(`{"x":1, "y":2}`))
	b, _ := datatype.ParseJSON([]byte(`{"x":1,"y":2}`))
	c, _ := datatype.ParseJSON([]byte(`{"y":2,"x":1}`))
	fmt.Println(a.Equal(b), a.Equal(c))
	// Output: true false
}

func ExampleBinary() {
	v := datatype.Binary{0xca, 0xfe}
	fmt.Printf("%v %x\n", v.Type(), v.Bytes())
	// Output: binary cafe
}

func ExampleString() {
	v := datatype.String("hello")
	fmt.Printf("%v %x\n", v.Type(), v.Bytes())
	// Output: string 6568656c6c6f
}

func ExampleInt64() {
	v := datatype.Int64(-1000)
	fmt.Printf("%v %x\n", v.Type(), v.Bytes())
	// Output: int64 3903e7
}

func ExampleDouble() {
	v := datatype.Double(1.5)
	fmt.Printf("%v %x\n", v.Type(), v.Bytes())
	// Output: double fb3ff8000000000000
}

func ExampleNewRecordV2() {
	v := datatype.NewRecordV2([]string{"EURUSD", "1.0834"}, []string{"GBPUSD", "1.2711"})
	fmt.Println(v)
	fmt.Printf("%v %q\n", v.Type(), v.Bytes())
	// Output:
	// [["EURUSD","1.0834"],["GBPUSD","1.2711"]]
	// record_v2 "EURUSD\x021.0834\x01GBPUSD\x021.2711"
}

func ExampleRecordV2_Records() {
	received := []byte("EURUSD\x021.0834\x01GBPUSD\x021.2711")
	v, _, err := datatype.Read[datatype.RecordV2](datatype.TypeRecordV2, received)
	if err != nil {
		fmt.Println(err)
		return
	}
	for quote := range v.Records() {
		fmt.Println(quote[0], "at", quote[1])
	}
	bid, ok := v.Field(1, 1)
	fmt.Println(bid, ok)
	// Output:
	// EURUSD at 1.0834
	// GBPUSD at 1.2711
	// 1.2711 true
}

func ExampleSchema() {
	schema, err := datatype.ParseSchema(`{"records": [
		{"name": "order", "fields": [{"name": "id", "type": "INTEGER"}, {"name": "trader"}]},
		{"name": "item", "min": 0, "max": -1, "fields": [{"name": "product"}, {"name": "price", "type": "DECIMAL"}]}]}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	order := datatype.NewRecordV2([]string{"17", "ann"}, []string{"tea", "2.50"}, []string{"cake", "3.00"})
	fmt.Println(schema.Validate(order))

	price, ok := schema.Field(order, "item", 1, "price", 0)
	fmt.Println(price, ok)

	fmt.Println(schema.Validate(datatype.NewRecordV2([]string{"17", "ann"}, []string{"tea", "cheap"})))
	// Output:
	// <nil>
	// 3.00 true
	// invalid record_v2 value at byte 11: the field "price" of the record "item" is not of type DECIMAL
}

func ExamplePatch() {
	patch, err := datatype.ParsePatch([]byte(`[
		{"op": "test", "path": "/status", "value": "open"},
		{"op": "replace", "path": "/score/0", "value": 4},
		{"op": "add", "path": "/score/-", "value": 0}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	game, _ := datatype.ParseJSON([]byte(`{"status": "open", "score": [3, 1]}`))
	game, err = patch.Apply(game)
	fmt.Println(game, err)

	game, _ = datatype.ParseJSON([]byte(`{"status": "closed", "score": [3, 1]}`))
	_, err = patch.Apply(game)
	var failed *datatype.PatchError
	if errors.As(err, &failed) {
		fmt.Printf("operation %d: %s\n", failed.Operation, failed.Reason)
	}
	// Output:
	// {"status":"open","score":[4,1,0]} <nil>
	// operation 0: test "/status": another value is there
}

func ExampleScalar() {
	doc := datatype.MustJSON(map[string]any{"qty": 10, "limit": "12.50"})
	limit := datatype.Double(12.5).Bytes()

	for _, pointer := range []string{"/qty", "/limit"} {
		part, ok := doc.Get(pointer)
		if !ok {
			continue
		}
		a, _ := datatype.ScalarOf(datatype.TypeJSON, part.Bytes())
		b, _ := datatype.ScalarOf(datatype.TypeDouble, limit)
		fmt.Println(a.CompareNumber(b))
	}
	// Output:
	// -1 true
	// 0 true
}

func ExampleRead() {
	received := datatype.Int64(42).Bytes()

	n, present, err := datatype.Read[datatype.Int64](datatype.TypeInt64, received)
	fmt.Println(n+1, present, err)

	// The number is JSON, too.
	doc, present, err := datatype.Read[datatype.JSON](datatype.TypeInt64, received)
	fmt.Println(doc, present, err)

	// Of a topic whose type is not known, the value tells.
	v, _, _ := datatype.Read[datatype.Value](datatype.TypeInt64, received)
	switch v := v.(type) {
	case datatype.Int64:
		fmt.Println("an integer:", v)
	case datatype.String:
		fmt.Println("text:", v)
	}
	// Output:
	// 43 true <nil>
	// 42 true <nil>
	// an integer: 42
}

func ExampleRead_noValue() {
	null := []byte{0xf6} // what a string topic holds after it was set to null
	s, present, err := datatype.Read[datatype.String](datatype.TypeString, null)
	fmt.Printf("%q %v %v\n", s, present, err)
	// Output: "" false <nil>
}

func ExampleCanRead() {
	fmt.Println(datatype.CanRead[datatype.JSON](datatype.TypeString))
	fmt.Println(datatype.CanRead[datatype.String](datatype.TypeJSON))
	// Output:
	// true
	// false
}

func ExampleValidate() {
	err := datatype.Validate(datatype.TypeInt64, datatype.Double(1).Bytes())
	fmt.Println(err)
	fmt.Println(errors.Is(err, datatype.ErrInvalid))
	// Output:
	// invalid int64 value at byte 0: a float where an integer is expected
	// true
}

func ExampleParseType() {
	t, err := datatype.ParseType("JSON")
	fmt.Println(t, err)
	// Output: json <nil>
}

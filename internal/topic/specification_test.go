package topic

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"advect.dev/internal/wire"
)

// hexBytes is a byte string written as hexadecimal digits.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readVectors(t testing.TB, file string, v any) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// section fails the test when a section of the vectors is missing.
func section[T any](t testing.TB, name string, vectors []T) []T {
	t.Helper()
	if len(vectors) == 0 {
		t.Fatalf("no vectors in section %s", name)
	}
	return vectors
}

// specificationVector has properties in the order in which they were encoded.
type specificationVector struct {
	ID         int32
	Path, Type string
	Properties [][2]string
	Hex        hexBytes
}

func (v specificationVector) specification(t *testing.T) Specification {
	t.Helper()
	s := Specification{Type: Unknown}
	if v.Type != Unknown.String() {
		var err error
		if s.Type, err = ParseType(v.Type); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range v.Properties {
		if s.Properties == nil {
			s.Properties = make(map[string]string)
		}
		s.Properties[p[0]] = p[1]
	}
	return s
}

// sorted reports whether the vector's properties are in the order that Append
// writes; of others only the decoded form is the same.
func (v specificationVector) sorted() bool {
	for i := 1; i < len(v.Properties); i++ {
		if v.Properties[i-1][0] >= v.Properties[i][0] {
			return false
		}
	}
	return true
}

func decode(b []byte) (Specification, error) {
	r := wire.NewReader(b)
	s := ReadSpecification(r)
	if r.Err() == nil && r.Len() > 0 {
		r.Fail("%d bytes left", r.Len())
	}
	return s, r.Err()
}

func TestSpecificationVectors(t *testing.T) {
	var v struct{ Specifications []specificationVector }
	readVectors(t, "topic-specifications.json", &v)
	for _, v := range section(t, "specifications", v.Specifications) {
		want := v.specification(t)
		got, err := decode(v.Hex)
		if err != nil || !got.Equal(want) {
			t.Errorf("%x decodes as %v, %v, want %v", v.Hex, got, err, want)
		}
		encoded := want.Append([]byte{0xff})[1:]
		if v.sorted() && !bytes.Equal(encoded, v.Hex) || len(encoded) != len(v.Hex) {
			t.Errorf("%v is encoded as %x, want %x", want, encoded, v.Hex)
		}
		if again, err := decode(encoded); err != nil || !again.Equal(want) {
			t.Errorf("%x decodes as %v, %v, want %v", encoded, again, err, want)
		}
		for n := range v.Hex {
			if s, err := decode(v.Hex[:n:n]); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%x cut to %d bytes: %v, %v, want ErrMalformed", v.Hex, n, s, err)
			}
		}
	}
}

// TestSubscriptionInfoVectors reads a specification where it stands most often,
// behind a topic's id and path.
func TestSubscriptionInfoVectors(t *testing.T) {
	var v struct{ SubscriptionInfo []specificationVector }
	readVectors(t, "topic-specifications.json", &v)
	for _, v := range section(t, "subscriptionInfo", v.SubscriptionInfo) {
		r := wire.NewReader(v.Hex)
		id, path, got := r.Int32(), r.String(), ReadSpecification(r)
		if r.Err() != nil || r.Len() != 0 || id != v.ID || path != v.Path || !got.Equal(v.specification(t)) {
			t.Errorf("%x: id %d, path %q, %v, %v", v.Hex, id, path, got, r.Err())
		}
		if b := got.Append(wire.AppendString(wire.AppendInt32(nil, id), path)); !bytes.Equal(b, v.Hex) {
			t.Errorf("%x is encoded again as %x", v.Hex, b)
		}
	}
}

func TestDecodeVectors(t *testing.T) {
	var v struct {
		Decode []struct {
			Hex    hexBytes
			Note   string
			Client struct {
				Rejected bool
				OK       struct {
					TypeID     Type
					Properties [][2]string
				}
			}
		}
	}
	readVectors(t, "topic-specifications.json", &v)
	for _, v := range section(t, "decode", v.Decode) {
		got, err := decode(v.Hex)
		if v.Client.Rejected {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: %v, %v, want ErrMalformed", v.Note, got, err)
			}
			continue
		}
		properties := make(map[string]string)
		for _, p := range v.Client.OK.Properties {
			properties[p[0]] = p[1]
		}
		if err != nil || !got.Equal(Specification{v.Client.OK.TypeID, properties}) {
			t.Errorf("%s: %v, %v, want %+v", v.Note, got, err, v.Client.OK)
		}
	}
}

func TestTopicTypeVectors(t *testing.T) {
	var v struct {
		TopicTypes []struct {
			Name string
			ID   Type
		}
	}
	readVectors(t, "topic-specifications.json", &v)
	known := make(map[Type]bool)
	for _, v := range section(t, "topicTypes", v.TopicTypes) {
		known[v.ID] = true
		if v.ID.String() != v.Name {
			t.Errorf("type %d is %s, want %s", byte(v.ID), v.ID, v.Name)
		}
		got, err := ParseType(strings.ToLower(v.Name))
		if creatable := v.ID != Unknown; creatable != (err == nil) || creatable && got != v.ID {
			t.Errorf("ParseType(%s) = %v, %v", v.Name, got, err)
		}
	}
	for n := range 256 {
		if Type(n).Known() != known[Type(n)] {
			t.Errorf("type %d: known %v", n, Type(n).Known())
		}
	}
}

func TestPropertyVectors(t *testing.T) {
	var v struct {
		Dictionaries []struct {
			Value map[string]string
			Hex   hexBytes
		} `json:"string_dictionary"`
	}
	readVectors(t, "codec.json", &v)
	for _, v := range section(t, "string_dictionary", v.Dictionaries) {
		r := wire.NewReader(v.Hex)
		if got := ReadProperties(r); r.Err() != nil || r.Len() != 0 || !maps.Equal(got, v.Value) {
			t.Errorf("%x: %v, %v, want %v", v.Hex, got, r.Err(), v.Value)
		}
		encoded := AppendProperties(nil, v.Value)
		if len(encoded) != len(v.Hex) || len(v.Value) < 2 && !bytes.Equal(encoded, v.Hex) {
			t.Errorf("%v is encoded as %x, want the entries of %x", v.Value, encoded, v.Hex)
		}
	}
}

func TestAppendPropertiesIsSorted(t *testing.T) {
	m := make(map[string]string) // more than fit on the stack
	for c := 'a'; c <= 'z'; c++ {
		m[string(c)] = strings.ToUpper(string(c))
	}
	want := []byte{26}
	for c := byte('a'); c <= 'z'; c++ {
		want = append(want, 1, c, 1, c-'a'+'A')
	}
	if got := AppendProperties(nil, m); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestPropertiesRefuseClaimedLengths(t *testing.T) {
	for _, b := range [][]byte{
		append(wire.AppendInt32([]byte{byte(JSON)}, 1<<31-1), 0),
		append(wire.AppendInt32([]byte{byte(JSON)}, -1), 0),
		append(wire.AppendInt32([]byte{byte(JSON), 1}, 1<<31-1), 'a'),
		{byte(JSON), 3, 1, 'a', 0, 0},
	} {
		if s, err := decode(b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%x: %v, %v, want ErrMalformed", b, s, err)
		}
		if n := leastBytes(func() { _, _ = decode(b) }); n >= 1024 {
			t.Errorf("%x allocates %d bytes", b, n)
		}
	}
}

// leastBytes returns the fewest bytes that one of several calls of f allocates:
// what is above it comes from elsewhere, such as fmt's pool of buffers.
func leastBytes(f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	least := uint64(math.MaxUint64)
	for range 8 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

func TestSpecificationString(t *testing.T) {
	s := Specification{JSON, map[string]string{Priority: "high", Conflation: "off"}}
	if got, want := s.String(), "JSON CONFLATION=off PRIORITY=high"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Type(200).String(); got != "TYPE_200" {
		t.Errorf("type 200 is %q", got)
	}
}

func FuzzSpecification(f *testing.F) {
	var v struct {
		Specifications []specificationVector
		Decode         []struct{ Hex hexBytes }
	}
	readVectors(f, "topic-specifications.json", &v)
	for _, s := range v.Specifications {
		f.Add([]byte(s.Hex))
	}
	for _, s := range v.Decode {
		f.Add([]byte(s.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%x: error %v is not ErrMalformed", b, err)
			}
			return
		}
		if again, err := decode(s.Append(nil)); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%x decodes as %v, and then as %v, %v", b, s, again, err)
		}
		normal, err := s.Normalise()
		if err != nil {
			return
		}
		if again, err := normal.Normalise(); err != nil || !again.Equal(normal) {
			t.Fatalf("%v normalised twice: %v, %v", normal, again, err)
		}
	})
}

func BenchmarkAppendSpecification(b *testing.B) {
	s := Specification{JSON, map[string]string{Priority: "high", Conflation: "off"}}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		s.Append(buf)
	}
}

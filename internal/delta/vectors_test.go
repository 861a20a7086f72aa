package delta

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
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

// vectorPair is a change with the delta that the platform makes of it.
type vectorPair struct {
	pair
	delta []byte
}

// vectorPairs returns the golden deltas of all vector files.
func vectorPairs(t testing.TB) []vectorPair {
	t.Helper()
	var pairs []vectorPair
	add := func(name string, i int, old, new, delta []byte) {
		pairs = append(pairs, vectorPair{pair{fmt.Sprintf("%s/%d", name, i), old, new}, delta})
	}
	type encoded struct{ OldHex, NewHex, Delta, BinaryDelta hexBytes }
	var file struct {
		DiffBinary           []struct{ Old, New, Delta hexBytes }
		DiffBinaryLarge      []largeVector
		DiffString, DiffJson []encoded
		RecordedServerDeltas struct {
			Steps []struct{ Old, New, Delta hexBytes }
		}
	}
	readVectors(t, "deltas.json", &file)
	for i, v := range file.DiffBinary {
		add("binary", i, v.Old, v.New, v.Delta)
	}
	for i, v := range file.DiffBinaryLarge {
		old, new := v.values(t)
		add("large", i, old, new, v.Delta)
	}
	for i, v := range file.DiffString {
		add("string", i, v.OldHex, v.NewHex, v.Delta)
	}
	for i, v := range file.DiffJson {
		add("json", i, v.OldHex, v.NewHex, v.Delta)
	}
	for i, v := range file.RecordedServerDeltas.Steps {
		add("recorded", i, v.Old, v.New, v.Delta)
	}

	var records struct{ BinaryDeltas []encoded }
	readVectors(t, "recordv2.json", &records)
	for i, v := range records.BinaryDeltas {
		add("recordv2", i, v.OldHex, v.NewHex, v.BinaryDelta)
	}
	var series struct {
		EventDeltas []struct{ OldEvent, NewEvent, Delta hexBytes }
	}
	readVectors(t, "time-series.json", &series)
	for i, v := range series.EventDeltas {
		add("event", i, v.OldEvent, v.NewEvent, v.Delta)
	}
	return pairs
}

// largeVector gives its values by recipes.
type largeVector struct {
	Delta     hexBytes
	OldRecipe struct {
		LCG struct {
			Bytes int
			Seed  uint32
		}
	}
	NewRecipe string
}

func (v largeVector) values(t testing.TB) (old, new []byte) {
	t.Helper()
	x := v.OldRecipe.LCG.Seed
	for range v.OldRecipe.LCG.Bytes {
		x = x*1664525 + 1013904223
		old = append(old, byte(x>>24))
	}
	var at int
	var suffix string
	if _, err := fmt.Sscanf(v.NewRecipe, "old with byte %d xor ff", &at); err == nil {
		return old, flip(old, at)
	}
	if _, err := fmt.Sscanf(v.NewRecipe, "old followed by %s", &suffix); err == nil {
		return old, append(bytes.Clone(old), unhex(t, suffix)...)
	}
	t.Fatalf("unknown recipe %q", v.NewRecipe)
	return nil, nil
}

func TestVectorsApply(t *testing.T) {
	pairs := vectorPairs(t)
	if len(pairs) < 70 {
		t.Fatalf("only %d vectors", len(pairs))
	}
	for _, v := range pairs {
		got, err := Apply(nil, v.old, v.delta, len(v.new))
		if err != nil || !bytes.Equal(got, v.new) {
			t.Errorf("%s: delta %x of %x makes %x, error %v; want %x", v.name, v.delta, v.old, got, err, v.new)
		}
	}
}

// TestVectorsDiff checks that our deltas are no longer than the platform's.
// Their bytes may differ (protocol 11 section 11.6).
func TestVectorsDiff(t *testing.T) {
	ours, theirs := 0, 0
	for _, v := range vectorPairs(t) {
		d := mustRoundTrip(t, v.name, v.old, v.new)
		const slack = 1
		if len(d) > len(v.delta)+slack {
			t.Errorf("%s: delta %x of %x and %x, the platform's is shorter: %x", v.name, d, v.old, v.new, v.delta)
		}
		if len(v.delta) <= 1 && !bytes.Equal(d, v.delta) {
			t.Errorf("%s: delta %x, want %x", v.name, d, v.delta)
		}
		ours, theirs = ours+len(d), theirs+len(v.delta)
	}
	if ours > theirs {
		t.Errorf("%d bytes in total, the platform's %d", ours, theirs)
	}
	t.Logf("%d bytes in total, the platform's %d", ours, theirs)
}

// TestVectorsApplyByHand checks hand-made deltas. The platform's client is
// lenient where section 11.2 asks us to reject.
func TestVectorsApplyByHand(t *testing.T) {
	reject := map[string]bool{
		"40": true, "00": true, // single bytes that are not f6
		"0018ff": true, "0501": true, // past the end
		"000301": true,                                             // no length
		"6161":   true, "f6f6": true, "2001": true, "0003f6": true, // other items
	}
	var file struct {
		Apply []struct {
			Old    hexBytes
			Delta  string
			Note   string
			Client struct{ OK *hexBytes }
		}
	}
	readVectors(t, "deltas.json", &file)
	if len(file.Apply) < 25 {
		t.Fatalf("only %d vectors", len(file.Apply))
	}
	for _, v := range file.Apply {
		got, err := Apply(nil, v.Old, unhex(t, v.Delta), 1000)
		switch {
		case reject[v.Delta]:
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: delta %s makes %x, error %v; want an error", v.Note, v.Delta, got, err)
			}
		case v.Client.OK == nil:
			t.Errorf("%s: the client rejects %s, it must be in the list above", v.Note, v.Delta)
		case err != nil || !bytes.Equal(got, *v.Client.OK):
			t.Errorf("%s: delta %s makes %x, error %v; want %x", v.Note, v.Delta, got, err, *v.Client.OK)
		}
	}
}

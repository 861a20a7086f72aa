package advect_test

import (
	"strings"
	"testing"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
)

// BenchmarkUpdates is one update of a document of 1 KB, of which a number
// changes, from the client to the server: as values that wait for each other, as
// deltas that do, and as deltas of which many are under way.
func BenchmarkUpdates(b *testing.B) {
	ctx := b.Context()
	session, err := advect.Open(ctx, advecttest.Server(b).URL(), advect.WithPrincipal("admin"), advect.WithPassword("password"))
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	topics := session.Topics()
	document := func(n int) datatype.JSON {
		return datatype.MustJSON(map[string]any{"text": strings.Repeat("lorem ipsum ", 80), "n": n})
	}
	spec := advect.NewSpecification(advect.JSON)
	if _, err := topics.AddAndSet(ctx, "b", spec, document(-1)); err != nil {
		b.Fatal(err)
	}
	open := func(b *testing.B) *advect.UpdateStream[datatype.JSON] {
		stream, err := advect.NewUpdateStream[datatype.JSON](topics, "b")
		if err != nil {
			b.Fatal(err)
		}
		return stream
	}
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if err := topics.Set(ctx, "b", document(n)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("stream", func(b *testing.B) {
		stream := open(b)
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if err := stream.Set(ctx, document(n)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pipelined", func(b *testing.B) {
		stream := open(b)
		if err := stream.Validate(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		var last *advect.PendingUpdate
		for n := 0; b.Loop(); n++ {
			var err error
			if last, err = stream.Start(ctx, document(n)); err != nil {
				b.Fatal(err)
			}
		}
		if err := last.Wait(ctx); err != nil {
			b.Fatal(err)
		}
	})
}

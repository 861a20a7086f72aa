// Package datatype holds the values that topics carry.
//
// A [Value] is a value in the byte form that travels on the wire, together
// with its [Type]. There is one Go type for each topic type:
//
//	JSON      any JSON document      datatype.NewJSON(v), datatype.ParseJSON(text)
//	Binary    arbitrary bytes        datatype.Binary(b)
//	String    text                   datatype.String("hello")
//	Int64     a 64-bit integer       datatype.Int64(42)
//	Double    a 64-bit float         datatype.Double(1.5)
//	RecordV2  records of fields      datatype.NewRecordV2([]string{"a", "b"})
//
// All but JSON and RecordV2 are plain Go types: convert to make a value, convert
// back to use it. [JSON] wraps encoded bytes that are decoded only when asked for:
//
//	quote, err := datatype.NewJSON(Quote{Symbol: "EURUSD", Bid: 1.08})
//	...
//	var q Quote
//	err = quote.Decode(&q)
//
// [ParsePatch] makes a [Patch] that changes parts of a document, and leaves the
// bytes of all others as they are.
//
// [RecordV2] is text in records of fields, of which a [Schema] can name and
// check the parts.
//
// # Equality
//
// Two values are the same if their bytes are the same. There is no other
// equality on the wire: JSON documents with keys in another order are
// different values, and so are the integer 1 and the float 1.0. Conditions of
// update constraints that compare numbers or texts do so by means of [Scalar].
//
// # No value
//
// A topic of type string, int64 or double may be set to null, after which it
// has no value. [Read] reports that case as "not present" instead of making up
// a value. In JSON null is a value like any other; binary and record_v2 have no null.
//
// # Ownership and concurrency
//
// Values are immutable. Byte slices that go into or come out of this package
// are shared, not copied, unless the comment says otherwise: do not modify
// them. All functions and methods may be called concurrently.
package datatype

// The CBOR reader and writer are our own (cbor.go) although good libraries
// exist. Three reasons: values are read in place, as spans of the bytes that
// arrived, which general decoders do not offer; what is accepted is
// fixed by the protocol (protocol 14 sections 3 and 4), not by a library's
// defaults; and this package is in every user's build, so it imports the
// standard library only. The tests compare it with fxamacker/cbor.

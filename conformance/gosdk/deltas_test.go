package gosdk

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"

	"advect.dev"
	"advect.dev/datatype"
)

// Large values, and changes of them.

// incompressible returns a text of random digits.
func incompressible(length int) string {
	b := make([]byte, length/2)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b)
}

func deltas(s *scene) {
	e := s.endpoint(nil)
	publisher := s.publisher(shared.port)
	reader := s.open(s.to(e.port)...)
	path := s.path()
	publisher.add(path, advect.JSON)
	stream := watch[datatype.JSON](s, reader, path)
	s.subscribe(reader, path)
	s.await(stream, subscribe, 1)
	type part struct {
		N    int
		Text string
	}
	document := map[string]any{}
	for n := range 100 {
		document[fmt.Sprint("key", n)] = part{n, incompressible(400)}
	}
	const rounds = 200
	var sent []string
	size := 0
	for n := range rounds {
		key := fmt.Sprint("key", n*7%100)
		document[key] = part{n * 1000, document[key].(part).Text}
		switch n % 50 {
		case 10:
			document[fmt.Sprint("extra", n)] = []int{n}
		case 40:
			delete(document, fmt.Sprint("extra", n-30))
		}
		v := datatype.MustJSON(document)
		size = len(v.Bytes())
		sent = append(sent, v.String())
		publisher.set(path, v)
	}
	s.await(stream, value, rounds)
	for n, e := range stream.of(value) {
		s.ok(e.value == sent[n], "value %d differs", n)
	}
	s.ok(e.down.Load() < 3*int64(size), "%d bytes came down for %d updates of %d bytes each", e.down.Load(), rounds, size)
}

func deltasBinaryString(s *scene) {
	session := s.owner()
	b := make([]byte, 5_000)
	for n := range b {
		b[n] = byte(n * 31)
	}
	for _, c := range []struct {
		typ  advect.TopicType
		next func(n int) datatype.Value
	}{
		{advect.Binary, func(n int) datatype.Value {
			b[n*997%len(b)] ^= 0xff
			if n%3 == 0 {
				return datatype.Binary(bytes.Clone(b[n:]))
			}
			return datatype.Binary(bytes.Clone(b))
		}},
		{advect.String, func(n int) datatype.Value {
			return datatype.String(strings.Repeat("ab", 1000) + fmt.Sprint(n) + strings.Repeat("ÿ🚀", 500) + fmt.Sprint(n*n))
		}},
	} {
		path := s.path()
		session.add(path, c.typ)
		stream := watch[datatype.Value](s, session.Session, path)
		s.subscribe(session.Session, path)
		var sent []string
		for n := range 40 {
			v := c.next(n)
			sent = append(sent, comparable(v))
			session.set(path, v)
		}
		s.await(stream, value, len(sent))
		for n, e := range stream.of(value) {
			s.ok(e.value == sent[n], "%s value %d differs", c.typ, n)
		}
	}
}

func largeValue(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.String)
	stream := watch[datatype.String](s, session.Session, path)
	s.subscribe(session.Session, path)
	text := incompressible(1 << 20)
	session.set(path, datatype.String(text))
	s.ok(s.await(stream, value, 1).value == fmt.Sprintf("%q", text), "another value came back")
}

func twoSubscribers(s *scene) {
	publisher := s.publisher(shared.port)
	path := s.path()
	publisher.add(path, advect.JSON)
	type document struct {
		N      int
		Filler string
	}
	filler := strings.Repeat("x", 2_000)
	text := func(n int) string { return datatype.MustJSON(document{n, filler}).String() }
	var streams []streamRecord
	for n := 1; n <= 30; n++ {
		if n%10 == 5 {
			reader := s.connect()
			streams = append(streams, watch[datatype.JSON](s, reader, path))
			s.subscribe(reader, path)
		}
		publisher.set(path, datatype.MustJSON(document{n, filler}))
	}
	for i, stream := range streams {
		s.awaitValue(stream, text(30))
		var want []string
		for n := 4 + 10*i; n <= 30; n++ {
			want = append(want, text(n))
		}
		s.equal(stream.values(), strings.Join(want, " "), fmt.Sprintf("values of subscriber %d", i))
	}
}

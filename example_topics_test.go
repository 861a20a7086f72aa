package advect_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"advect.dev"
	"advect.dev/datatype"
	"advect.dev/server"
)

// openTopics starts a server for an example and opens a session that may do
// everything. In a program the server runs elsewhere.
func openTopics(ctx context.Context) (*advect.Session, func()) {
	config := server.DefaultConfig()
	config.Listen = []string{"127.0.0.1:0"}
	config.Logger = slog.New(slog.DiscardHandler)
	srv, err := server.Start(config)
	if err != nil {
		log.Fatal(err)
	}
	session, err := advect.Open(ctx, srv.URL(), advect.WithPrincipal("admin"), advect.WithPassword("password"))
	if err != nil {
		log.Fatal(err)
	}
	return session, func() {
		session.Close()
		srv.Close()
	}
}

// Watching live values takes one loop.
func ExampleValues() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	type Price struct{ Bid, Ask float64 }
	price := func(bid, ask float64) datatype.JSON { return datatype.MustJSON(Price{bid, ask}) }
	_, err := session.Topics().AddAndSet(ctx, "prices/eur", advect.NewSpecification(advect.JSON), price(1.08, 1.09))
	if err != nil {
		log.Fatal(err)
	}

	for update, err := range advect.Values[datatype.JSON](ctx, session, "?prices//") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(update.Path, update.Value)
		if !update.First {
			break
		}
		if err := session.Topics().Set(ctx, "prices/eur", price(1.07, 1.09)); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// prices/eur {"Bid":1.08,"Ask":1.09}
	// prices/eur {"Bid":1.07,"Ask":1.09}
}

// Callbacks are told of subscriptions as well as of values.
func ExampleAddStream() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	topics := session.Topics()
	closed := make(chan struct{})

	_, err := advect.AddStream(topics, "?counters//", advect.Stream[datatype.Int64]{
		OnSubscribe: func(path string, specification advect.Specification) {
			fmt.Println("subscribed to", path, specification)
		},
		OnValue: func(u advect.Update[datatype.Int64]) {
			if u.HasOld {
				fmt.Println(u.Path, "went from", u.Old, "to", u.Value)
			} else {
				fmt.Println(u.Path, "is", u.Value)
			}
		},
		OnUnsubscribe: func(path string, _ advect.Specification, reason advect.UnsubscribeReason) {
			fmt.Println("unsubscribed from", path, reason)
		},
		OnClose: func(err error) {
			fmt.Println("the end:", err)
			close(closed)
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	// A stream receives nothing by itself: the session must be subscribed.
	if err := topics.Subscribe(ctx, "?counters//"); err != nil {
		log.Fatal(err)
	}
	_, err = topics.AddAndSet(ctx, "counters/visits", advect.NewSpecification(advect.Int64), datatype.Int64(1))
	if err != nil {
		log.Fatal(err)
	}
	if err := topics.Set(ctx, "counters/visits", datatype.Int64(2)); err != nil {
		log.Fatal(err)
	}
	if _, err := topics.Remove(ctx, "counters/visits"); err != nil {
		log.Fatal(err)
	}
	stop()
	<-closed
	// Output:
	// subscribed to counters/visits INT64
	// counters/visits is 1
	// counters/visits went from 1 to 2
	// unsubscribed from counters/visits REMOVED
	// the end: closed by the client
}

// A fallback stream gets what no other stream wants.
func ExampleAddFallbackStream() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	topics := session.Topics()
	closed := make(chan struct{})

	_, err := advect.AddStream(topics, "known", advect.Stream[datatype.Value]{
		OnValue: func(u advect.Update[datatype.Value]) { fmt.Println("stream:", u.Path, u.Value) },
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = advect.AddFallbackStream(topics, advect.Stream[datatype.Value]{
		OnValue: func(u advect.Update[datatype.Value]) { fmt.Println("fallback:", u.Path, u.Value) },
		OnClose: func(error) { close(closed) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := topics.Subscribe(ctx, "?.*//"); err != nil {
		log.Fatal(err)
	}
	for _, path := range []string{"known", "other"} {
		if _, err := topics.AddAndSet(ctx, path, advect.NewSpecification(advect.String), datatype.String("hello")); err != nil {
			log.Fatal(err)
		}
	}
	stop()
	<-closed
	// Output:
	// stream: known hello
	// fallback: other hello
}

// Events are subscriptions, values and unsubscriptions in one loop.
func ExampleEvents() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	topics := session.Topics()
	if _, err := topics.AddAndSet(ctx, "a", advect.NewSpecification(advect.Double), datatype.Double(0.5)); err != nil {
		log.Fatal(err)
	}
	if err := topics.Subscribe(ctx, "a"); err != nil {
		log.Fatal(err)
	}

	for event, err := range advect.Events[datatype.Double](ctx, topics, "a") {
		if err != nil {
			log.Fatal(err)
		}
		switch event.Kind {
		case advect.EventSubscribe:
			fmt.Println(event.Path, "is there")
		case advect.EventValue:
			fmt.Println(event.Path, "is", event.Value)
			if _, err := topics.Remove(ctx, "a"); err != nil {
				log.Fatal(err)
			}
		case advect.EventUnsubscribe:
			fmt.Println(event.Path, "is gone:", event.Reason)
			return
		}
	}
	// Output:
	// a is there
	// a is 0.5
	// a is gone: REMOVED
}

// Errors of the server tell what is wrong, and match a sentinel.
func ExampleTopics_Add() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	topics := session.Topics()

	specification := advect.NewSpecification(advect.JSON, advect.With(advect.PropertyDontRetainValue, "true"))
	for range 2 {
		result, err := topics.Add(ctx, "alerts", specification)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result)
	}
	_, err := topics.Add(ctx, "alerts", advect.NewSpecification(advect.String))
	fmt.Println(errors.Is(err, advect.ErrTopicExists))
	// Output:
	// created
	// exists
	// true
}

func ExampleTopics_Fetch() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	topics := session.Topics()
	if _, err := topics.AddAndSet(ctx, "greeting", advect.NewSpecification(advect.String), datatype.String("hello")); err != nil {
		log.Fatal(err)
	}

	value, err := topics.Fetch(ctx, "greeting")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(value)

	text, err := advect.FetchValue[datatype.String](ctx, topics, "greeting") // when the type is known
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(text))

	_, err = topics.Fetch(ctx, "farewell")
	fmt.Println(errors.Is(err, advect.ErrNoSuchTopic))
	// Output:
	// hello
	// 5
	// true
}

// A large number of topics comes in pages, which need not concern the program.
func ExampleTopics_FetchAll() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	topics := session.Topics()
	for i, path := range []string{"fruit/apple", "fruit/cherry", "fruit/pear"} {
		if _, err := topics.AddAndSet(ctx, path, advect.NewSpecification(advect.Int64), datatype.Int64(i)); err != nil {
			log.Fatal(err)
		}
	}

	for topic, err := range topics.FetchAll(ctx, advect.FetchQuery{Selector: "?fruit//", Values: true, First: 2}) {
		if err != nil {
			log.Fatal(err)
		}
		value, err := topic.Value()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(topic.Path, value)
	}
	// Output:
	// fruit/apple 0
	// fruit/cherry 1
	// fruit/pear 2
}

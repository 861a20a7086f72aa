package advect_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"advect.dev"
	"advect.dev/datatype"
)

// A program that updates one topic again and again sends only what changes.
func ExampleNewUpdateStream() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	stream, err := advect.NewUpdateStream[datatype.JSON](session.Topics(), "prices/eur",
		advect.WithSpecification(advect.NewSpecification(advect.JSON)))
	if err != nil {
		log.Fatal(err)
	}
	for bid := range 3 {
		if err := stream.Set(ctx, datatype.MustJSON(map[string]any{"symbol": "EURUSD", "bid": bid})); err != nil {
			log.Fatal(err)
		}
	}
	last, _ := stream.Get()
	fmt.Println(last)

	// Something else updates the topic: the stream says so.
	if err := session.Topics().Set(ctx, "prices/eur", datatype.MustJSON("halted")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(stream.Set(ctx, last), advect.ErrInvalidUpdateStream))
	// Output:
	// {"bid":2,"symbol":"EURUSD"}
	// true
}

// Start lets one goroutine have many updates under way, in order.
func ExampleUpdateStream_Start() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	stream, err := advect.NewUpdateStream[datatype.Int64](session.Topics(), "counter",
		advect.WithSpecification(advect.NewSpecification(advect.Int64)))
	if err != nil {
		log.Fatal(err)
	}
	var last *advect.PendingUpdate
	for n := range 1000 {
		if last, err = stream.Start(ctx, datatype.Int64(n)); err != nil {
			log.Fatal(err)
		}
	}
	if err := last.Wait(ctx); err != nil { // an error of an earlier one is an error of the last
		log.Fatal(err)
	}
	fmt.Println(session.Topics().Fetch(ctx, "counter"))
	// Output: 999 <nil>
}

// With a constraint a value is set only if it is still the one that was read.
func ExampleIf() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	topics := session.Topics()

	stock := advect.NewSpecification(advect.Int64)
	if _, err := topics.AddAndSet(ctx, "stock/apples", stock, datatype.Int64(10), advect.If(advect.NoTopic())); err != nil {
		log.Fatal(err)
	}
	take := func(seen datatype.Int64) {
		err := topics.Set(ctx, "stock/apples", seen-1, advect.If(advect.ValueIs(seen)))
		switch {
		case errors.Is(err, advect.ErrUnsatisfiedConstraint):
			fmt.Println("somebody else was quicker")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println("taken")
		}
	}
	take(10)
	take(10)
	// Output:
	// taken
	// somebody else was quicker
}

// A constraint can look into a JSON value.
func ExamplePartialJSON() {
	open := advect.PartialJSON(
		advect.JSONAt("/state", advect.IS, "open"),
		advect.JSONAt("/amount", advect.LT, 1000),
		advect.JSONAbsent("/locked"),
	)
	anew := advect.NoValue().Or(open) // use it with advect.If
	_ = anew
}

// A JSON Patch changes parts of a value, all or nothing.
func ExampleTopics_ApplyPatch() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	topics := session.Topics()

	if _, err := topics.AddAndSet(ctx, "game", advect.NewSpecification(advect.JSON), datatype.MustJSON(map[string]int{"home": 0, "away": 0})); err != nil {
		log.Fatal(err)
	}
	goal := `[{"op": "test", "path": "/home", "value": 0}, {"op": "replace", "path": "/home", "value": 1}]`
	for range 2 {
		err := topics.ApplyPatch(ctx, "game", goal)
		var failed *advect.PatchError
		if errors.As(err, &failed) {
			fmt.Println("operation", failed.Operation, "failed")
		} else if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(topics.Fetch(ctx, "game"))
	// Output:
	// operation 0 failed
	// {"away":0,"home":1} <nil>
}

// A time series keeps events, which can be queried and edited.
func ExampleQueryRange() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	topics := session.Topics()

	series := advect.TimeSeriesOf(datatype.TypeDouble)
	if _, err := topics.Add(ctx, "temperature", series); err != nil {
		log.Fatal(err)
	}
	for _, degrees := range []datatype.Double{20.5, 21, 99.9, 21.5} {
		if _, err := topics.Append(ctx, "temperature", degrees); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := topics.EditEvent(ctx, "temperature", 2, datatype.Double(21.2)); err != nil {
		log.Fatal(err)
	}
	result, err := advect.QueryRange[datatype.Double](ctx, topics, "temperature", advect.RangeQuery{
		View: advect.EventRange{Anchor: advect.FromLast(3)},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, event := range result.Events {
		fmt.Println(event.Value, event.Author, event.IsEdit())
	}
	// Output:
	// 21 admin false
	// 21.2 admin true
	// 21.5 admin false
}

// Streams get the events of a time series, of which Event tells the rest.
func ExampleUpdate() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	series := advect.TimeSeriesOf(datatype.TypeString)
	if _, err := session.Topics().AddAndSet(ctx, "log", series, datatype.String("started")); err != nil {
		log.Fatal(err)
	}
	for update, err := range advect.Values[datatype.String](ctx, session, "log") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(update.Value, "is event", update.Event.Sequence, "by", update.Event.Author)
		break
	}
	// Output: started is event 0 by admin
}

// Watching which topics come and go takes one loop.
func ExampleNotifications() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	order := advect.NewSpecification(advect.JSON)
	if _, err := session.Topics().Add(ctx, "orders/1", order); err != nil {
		log.Fatal(err)
	}
	for n, err := range advect.Notifications(ctx, session, "?orders/") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n.Kind, n.Path)
		switch n.Kind {
		case advect.NotificationSelected:
			_, err = session.Topics().Add(ctx, "orders/2", order)
		case advect.NotificationAdded:
			_, err = session.Topics().Remove(ctx, "orders/1")
		}
		if err != nil {
			log.Fatal(err)
		}
		if n.Kind == advect.NotificationRemoved {
			break
		}
	}
	// Output:
	// SELECTED orders/1
	// ADDED orders/2
	// REMOVED orders/1
}

// A handler adds topics when somebody wants them.
func ExampleTopics_AddMissingTopicHandler() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	topics := session.Topics()

	handler, err := topics.AddMissingTopicHandler(ctx, "quotes", advect.MissingTopicHandler{
		OnMissingTopic: func(m advect.MissingTopic) {
			fmt.Println(m.Properties["$Principal"], "wants", m.Path)
			_, err := topics.AddAndSet(ctx, m.Path, advect.NewSpecification(advect.String), datatype.String("made to order"))
			if err != nil {
				log.Print(err)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer handler.Close(ctx)

	for update, err := range advect.Values[datatype.String](ctx, session, "quotes/eur") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(update.Path, "is", update.Value)
		break
	}
	// Output:
	// admin wants quotes/eur
	// quotes/eur is made to order
}

// A tree of any size can be shown level by level.
func ExampleTopics_Branches() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	for _, path := range []string{"motd", "prices/eur", "prices/usd", "prices/usd/history"} {
		if _, err := session.Topics().Add(ctx, path, advect.NewSpecification(advect.JSON)); err != nil {
			log.Fatal(err)
		}
	}
	for branch, err := range session.Topics().Branches(ctx, "", 2) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(branch.Path, branch.Topics, branch.More)
	}
	// Output:
	// motd 1 false
	// prices 2 true
}

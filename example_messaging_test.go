package advect_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"advect.dev"
	"advect.dev/datatype"
)

// One session answers requests at a path, and any other that may sends them, without
// knowing which session that is.
func ExampleSendRequest() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	type Order struct{ Item string }
	handle, err := advect.AddRequestHandler(ctx, session.Messaging(), "orders",
		func(ctx context.Context, r advect.Request[datatype.JSON]) (datatype.String, error) {
			var order Order
			if err := r.Value.Decode(&order); err != nil {
				return "", advect.Reject("not an order: %v", err)
			}
			if order.Item == "" {
				return "", advect.Reject("an order needs an item")
			}
			return datatype.String("accepted " + order.Item + " of " + r.Properties["$Principal"]), nil
		}, advect.WithSenderProperties("$Principal"))
	if err != nil {
		log.Fatal(err)
	}
	defer handle.Close(ctx)

	answer, err := advect.SendRequest[datatype.String](ctx, session.Messaging(), "orders", datatype.MustJSON(Order{"tea"}))
	fmt.Println(answer, err)

	_, err = advect.SendRequest[datatype.String](ctx, session.Messaging(), "orders", datatype.MustJSON(Order{}))
	var refusal *advect.ServiceError
	if errors.Is(err, advect.ErrRejected) && errors.As(err, &refusal) {
		fmt.Println("rejected:", refusal.Description)
	}
	// Output:
	// accepted tea of admin <nil>
	// rejected: an order needs an item
}

// All sessions of a principal are asked at once.
func ExampleSendRequestToFilter() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	_, err := advect.AddRequestStream(session.Messaging(), "status",
		func(context.Context, advect.Request[datatype.Value]) (datatype.String, error) {
			return "all is well", nil
		})
	if err != nil {
		log.Fatal(err)
	}

	filter := "$Principal is " + advect.FilterString("admin")
	for answer, err := range advect.SendRequestToFilter[datatype.String](ctx, session.Messaging(), filter, "status", datatype.String("?")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(answer.SessionID == session.ID(), answer.Response, answer.Err)
	}
	// Output:
	// true all is well <nil>
}

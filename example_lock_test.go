package advect_test

import (
	"context"
	"fmt"
	"log"

	"advect.dev"
	"advect.dev/datatype"
)

// Of several programs that could do a job, the one with the lock does it. What it
// writes depends on the lock: should the connection be lost, another takes
// over, and nothing that this one still sends has an effect.
func ExampleSession_Lock() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	lock, err := session.Lock(ctx, "jobs/cleaner", advect.UnlockOnConnectionLoss) // waits for its turn
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Unlock(ctx)

	status := advect.NewSpecification(advect.String)
	_, err = session.Topics().AddAndSet(ctx, "jobs/cleaner/status", status, datatype.String("running"), advect.If(advect.Locked(lock)))
	fmt.Println(lock.Name(), lock.Owned(), err)

	select {
	case <-lock.Done():
		fmt.Println("another program has taken over")
	default:
		fmt.Println("working")
	}
	// Output:
	// jobs/cleaner true <nil>
	// working
}

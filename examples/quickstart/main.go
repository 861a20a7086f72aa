// Command quickstart counts on a topic and prints every value that arrives. It
// does the same as quickstart.mjs beside it.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

func main() {
	ctx := context.Background()
	session, err := advect.Open(ctx, "ws://localhost:8080", advect.WithPrincipal("control"), advect.WithPassword("password"))
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		counter := advect.NewSpecification(advect.Int64)
		for n := 1; ; n++ {
			if _, err := session.Topics().AddAndSet(ctx, "demo/count", counter, datatype.Int64(n)); err != nil {
				log.Fatal(err)
			}
			time.Sleep(time.Second)
		}
	}()
	for update, err := range advect.Values[datatype.Int64](ctx, session, "demo/count") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(update.Path, update.Value)
	}
}

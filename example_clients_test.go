package advect_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"advect.dev"
)

// A session sees others come, change and go.
func ExampleSessionEvents() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	query := advect.SessionEventQuery{Filter: "$Principal is 'admin'", Properties: []string{"tier"}}
	for event, err := range advect.SessionEvents(ctx, session, query) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Kind, event.Properties)
		if event.Kind == advect.SessionUpdated {
			break
		}
		_, err := session.Clients().SetProperties(ctx, event.SessionID, map[string]string{"tier": "gold"})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// opened map[]
	// updated map[tier:gold]
}

func ExampleClients_FetchAll() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	query := advect.SessionQuery{Filter: "not ($Principal is '')", Properties: []string{"$Principal", "$Roles"}}
	for s, err := range session.Clients().FetchAll(ctx, query) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.SessionID == session.ID(), s.Properties["$Principal"], s.Properties["$Roles"])
	}
	// Output:
	// true admin "ADMINISTRATOR"
}

// A script changes a store as a whole, or not at all, and then says where it is
// wrong.
func ExampleSecurity_UpdatePrincipalStore() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	err := session.Security().UpdatePrincipalStore(ctx, "add principal 'bob' 'secret' ['CLIENT']\nremove principal 'nobody'")
	var script *advect.ScriptError
	if errors.As(err, &script) {
		fmt.Println("line", script.Reports[0].Line)
	}
	err = session.Security().UpdatePrincipalStore(ctx, "add principal 'bob' 'secret' ['CLIENT']")
	fmt.Println(err)
	// Output:
	// line 2
	// <nil>
}

// A program decides who may connect as a guest.
func ExampleSecurity_AddAuthenticator() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()
	// Of the stock principals only control may authenticate others.
	if err := session.ChangePrincipal(ctx, "control", advect.Password("password")); err != nil {
		log.Fatal(err)
	}

	handle, err := session.Security().AddAuthenticator(ctx, advect.BeforeSystemAuthenticator, advect.Authenticator{
		Authenticate: func(_ context.Context, r advect.AuthenticationRequest) (advect.Authentication, error) {
			switch {
			case r.Principal != "guest":
				return advect.Abstain(), nil // the others are known to the server
			case string(r.Credentials.Data) != "welcome":
				return advect.Deny(), nil
			}
			return advect.AllowWith(map[string]string{"$Roles": `"CLIENT"`, "tier": "free"}), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.ReAuthenticate(ctx, "guest", advect.Password("welcome"), nil))
	fmt.Println(session.Principal())
	_ = handle
	// Output:
	// <nil>
	// guest
}

func ExampleMetrics_Read() {
	ctx := context.Background()
	session, stop := openTopics(ctx)
	defer stop()

	servers, err := session.Metrics().Read(ctx, advect.MetricsQuery{Names: []string{"diffusion_sessions_open"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, metrics := range servers {
		for _, metric := range metrics {
			fmt.Println(metric.Type, metric.Samples[0].Name, metric.Samples[0].Value)
		}
	}
	// Output:
	// GAUGE diffusion_sessions_open 1
}

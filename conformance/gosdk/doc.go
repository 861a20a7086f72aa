// Package gosdk runs the conformance scenarios with the Go SDK, over WebSocket
// and over HTTP polling: a black box on both sides, since the server and the
// inspector that disturbs its connections are the built binary, and the SDK is
// used through its public API only.
//
//	go test ./conformance/gosdk                         everything, and results/go.json
//	go test ./conformance/gosdk -run 'Scenarios/8.5'    the scenarios whose id begins so
//	ADVECT_SOAK=60s go test ./conformance/gosdk -run Soak -v
//
// A scenario has the id and the title of its twin for the official JavaScript
// SDK where there is one, see the README of the folder above.
//
// TestSoak is recovery under random cuts. It takes ADVECT_SOAK, or ten seconds,
// and prints a table of what happened.
package gosdk

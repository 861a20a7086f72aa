// Package server runs an Advect server inside a Go program: the same server that
// `advect serve` runs.
//
//	cfg := server.DefaultConfig()
//	cfg.Listen = []string{"127.0.0.1:0"}
//	srv, err := server.Start(cfg)
//	if err != nil { … }
//	defer srv.Close()
//	session, err := advect.Open(ctx, srv.URL())
//
// A Server is ready when [Start] returns: its listeners accept connections.
// Tests are better served by package advecttest.
package server

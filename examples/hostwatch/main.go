// Command hostwatch publishes the live figures of the machine that it runs on:
// once a second one JSON document with all of them, and single values beside it.
//
//	hostwatch/NAME/all                JSON, every figure
//	hostwatch/NAME/cpu/total          DOUBLE, percent
//	hostwatch/NAME/memory/used        INT64, bytes
//	hostwatch/NAME/network/eth0/rx    INT64, bytes per second
//	hostwatch/NAME/system/kernel      STRING
//	...
//
// With -web it also serves a page that shows them move, in any browser.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.Ltime)
	log.SetPrefix("hostwatch: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	watch := Watch{Retry: 2 * time.Second}
	name, _ := os.Hostname()
	flag.StringVar(&watch.URL, "url", "ws://localhost:8080", "`URL` of the server; xhr:// for HTTP polling")
	flag.StringVar(&watch.Principal, "principal", "control", "`name` to connect as; it must be allowed to add topics")
	flag.StringVar(&watch.Password, "password", "password", "of the principal")
	flag.StringVar(&watch.Name, "host-name", name, "`name` to publish under")
	flag.DurationVar(&watch.Interval, "interval", time.Second, "between two rounds")
	flag.Int64Var(&watch.Rounds, "count", 0, "stop after so many rounds; 0 does not stop")
	page := flag.String("web", "", "serve the page on this `host:port`")
	sdk := flag.String("sdk", "", "`file` of the JavaScript SDK for the page (default: found in conformance/node_modules)")
	flag.Parse()
	if flag.NArg() > 0 || watch.Interval <= 0 {
		flag.Usage()
		return fmt.Errorf("unexpected %q; the interval must be positive", flag.Args())
	}

	watch.Name = segment(watch.Name)
	collector, err := NewCollector(watch.Name, func(part string, err error) {
		log.Printf("no figures for %s: %v", part, err)
	})
	if err != nil {
		return err
	}
	watch.Collector = collector
	if *page != "" {
		bundle, err := findSDK(*sdk)
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp", *page)
		if err != nil {
			return err
		}
		defer servePage(listener, bundle, watch.URL)()
		fmt.Printf("hostwatch: page url=http://%s/\n", listener.Addr())
	}
	return watch.Run(ctx)
}

# Every verb is one script in scripts/ that also runs alone; the scripts say what they need.

.DEFAULT_GOAL := help
.PHONY: help build run test lint fuzz bench peers conform soak overload model

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/advect
	@scripts/build

run: ## build and run the server on 127.0.0.1:8080 (ARGS="--log-level debug")
	@scripts/run $(ARGS)

test: ## set up and pass every test: Go, examples, official SDK in Node and Chromium
	@scripts/test

lint: ## gofmt, go vet, staticcheck
	@scripts/lint

fuzz: ## run each fuzz target for FUZZTIME (default 10m)
	@scripts/fuzz

bench: ## run the Go benchmarks (BENCH=pattern, COUNT=1)
	@scripts/bench

peers: ## measure the server beside others (PEERS=, SCENARIOS=, REPEAT=5, EXTRA=5, LIMIT=60m); an hour
	@scripts/bench-peers

conform: ## run the conformance scenarios and regenerate docs/compatibility.md
	@scripts/conform

soak: ## recovery under random cuts for SOAK seconds (default 60)
	@scripts/soak

overload: ## what stalled sessions do to others, in phases of OVERLOAD seconds (default 10)
	@scripts/overload

model: ## compare the engine with a naive model in 10 million operations (OPS, SEED)
	@scripts/model

package main

const description = `Advect is a real-time data server and its tools, compatible with the client SDKs of the Diffusion platform.

Exit codes: 0 done, 1 failed, 2 mistake on the command line, in the environment or in the configuration file, 130
interrupted before it was done.`

const serveHelp = `
Clients connect to the path /diffusion, with WebSocket or HTTP polling. When the server accepts connections it prints
one line for each listener to standard output:

    advect: ready url=ws://127.0.0.1:8080/diffusion

SIGTERM and SIGINT end it with exit code 0, after sessions got what was queued for them; a second signal ends it at
once. The log goes to standard error.

Each setting is a flag, an environment variable and a name in the configuration file, in this order of precedence:

    advect serve --listen 127.0.0.1:9000 --max-message-size 64MiB
    ADVECT_LISTEN=127.0.0.1:9000,[::1]:9000 advect serve
    advect config print > advect.yaml && advect serve --config advect.yaml

SIZE is a number of bytes, or one with a unit: KiB, MiB, GiB (powers of 1024), KB, MB, GB (powers of 1000). DURATION is
a number with its unit, such as 500ms, 90s, 5m or 1h30m.
`

const configHelp = `
Takes what serve takes, from the same flags, environment and file, and starts nothing:

    advect config print > advect.yaml
    advect config print --config advect.yaml --format json | jq '."queue-bytes".value'
`

const passwdHelp = `
Asks for the new password twice and writes it, hashed, to the data directory of the server. A running server takes it
over; sessions that are open stay open. The directory is created when missing, so that passwords can be changed
before the first start:

    advect passwd admin
    advect passwd control --stdin < control.password
`

const pingHelp = `
Prints the time of each round trip through the session, and a summary at the end or on Ctrl-C:

    advect ping
    advect ping -n 100 -i 10ms --url wss://data.example.com
`

const topicsHelp = `
Prints type and path of each topic that the selector matches, in path order; all of them without one:

    advect topics
    advect topics '?prices//'
    advect topics --json | jq .path

A path stands for one topic. Selectors: '?a/.*' matches by segment, '?a//' a branch with its root, '*a.*' the whole
path. Quote them, since the shell reads ? and * too.
`

const fetchHelp = `
Prints path and value of each topic, without subscribing. What matches no topic is an error (exit code 1), after
everything else was printed:

    advect fetch prices/eur prices/usd
    advect fetch '?prices//' --json
    advect fetch --raw config/motd > motd
`

const setHelp = `
The type of the value is that of the topic, if there is one. For a new topic it is found from the value: a whole number
of 64 bits is an int64, any other number a double, all other JSON is json, and what is left is a string. --type decides
otherwise. A binary value is the bytes as given:

    advect set prices/eur '{"bid":1.08}' --create --principal control
    advect set logo - --type binary --create --principal control < logo.png
    advect set motd 42 --type string --create --principal control
    advect set temperature --principal control -- -4
`

const subHelp = `
Prints time, path and value of every change, the current values first. What happens to the connection is on standard
error; the session reconnects by itself. Ctrl-C ends it with exit code 0:

    advect sub prices/eur
    advect sub '?prices//' --json | jq .value.bid
    advect sub motd --count 1

With --json each line has time, event (subscribe, value or unsubscribe), path, type, and value or reason; a binary value
is base64. Colours are used on a terminal only, and not if NO_COLOR is set.
`

const inspectHelp = `
A proxy between any client and any compatible server, over WebSocket and HTTP polling. It shows each message decoded:
handshakes, services with their fields, values with deltas applied, sequence numbers. Passwords are never shown. The
conversation is on standard output. When it is ready it prints one line to standard error:

    advect inspect --listen 127.0.0.1:8081 --to ws://localhost:8080
    advect: inspect listening=127.0.0.1:8081 control=none

With --control 127.0.0.1:9000 it takes orders over HTTP, to try how an application stands a bad network:

    curl -X POST localhost:9000/cut
    curl -X POST localhost:9000/fault -d '{"websocket": "503"}'
    curl -X POST localhost:9000/delay -d '{"ms": 200, "direction": "both"}'
    curl -X POST localhost:9000/random-cuts -d '{"minMs": 500, "maxMs": 3000}'
    curl localhost:9000/stats

docs/inspector.md lists them all. Ctrl-C ends it with exit code 0.
`

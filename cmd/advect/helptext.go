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

const explainHelp = `
Prints in one line which role, assigned at which path, grants or denies a permission. Needs the permission
VIEW_SECURITY. What an authenticator has given to a session shows if its id is asked about:

    advect explain control UPDATE_TOPIC prices/eur --principal admin
    advect explain 20f9a1d3c2b4e5f6-0000000000000007 MODIFY_SESSION --principal admin
    advect explain '' READ_TOPIC Diffusion --principal admin --json | jq .granted
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
    advect topics --json --limit 10 | jq .path

For a tree that is too large to read see tree.

A path stands for one topic. Selectors: '?a/.*' matches by segment, '?a//' a branch with its root, '*a.*' the whole
path. Quote them, since the shell reads ? and * too.
`

const treeHelp = `
Prints a line for each child of a path, without going deeper: the type of the topic at the child's path, if there is one,
the number of topics in its branch, and its path. A large tree takes the server little time, since of each branch no
more than N topics (--count) are looked at; a number with + means that there are more:

    advect tree
    advect tree prices
    advect tree prices/fx --count 10 --json
`

const patchHelp = `
Changes parts of a JSON value at once: all operations apply, or nothing changes and the first one that does not is named.

    advect patch prices/eur '[{"op":"replace","path":"/bid","value":1.09}]' --principal control
    advect patch prices/eur - --principal control < changes.json

Operations are add, remove, replace, move, copy and test, as in RFC 6902.
`

const appendHelp = `
Prints sequence number, time and author of the new event. The type of the value is that of the events; with --create, for a
new time series, it is found as by set:

    advect append orders/log '{"id":7}' --create --principal control
    advect append temperature 21.5 --at 2026-01-31T09:30:00Z --principal control
    advect append temperature 21.4 --edit 7 --principal control
`

const rangeHelp = `
Prints sequence number, time, author and value of events, oldest first; all of them without flags. Both ends are included:

    advect range temperature --last 10
    advect range temperature --from 2026-01-31T09:00:00Z --to 2026-01-31T10:00:00Z
    advect range temperature --from 100 --next 50 --json
    advect range temperature --since 1h --count

An event that was edited is shown with its newest value at its old place; --edits all shows what was there before too.
`

const watchHelp = `
Prints the topics that are there, and then each one that is added or removed. Values are not shown: see sub. For a path
that has no topic the first topics on the branches below it are shown:

    advect watch '?orders//'
    advect watch orders --json

Ctrl-C ends it with exit code 0.
`

const exportHelp = `
Writes one JSON object for each topic: path, type, properties, and value or bytes; what JSON cannot say exactly is the
bytes of the value in base64. A time series has its events with their times, edits in place of originals:

    advect export '?prices//' > prices.jsonl
    advect export '?.*//' | gzip > all.jsonl.gz

Topics are fetched in pages, so that trees of any size can be exported. import reads what export writes.
`

const importHelp = `
Adds the topic of each line and sets its value. A line that fails is named on standard error, and the rest goes on; the
exit code is then 1. If the connection is lost, --from-line N says where to go on:

    advect import prices.jsonl --principal control
    gunzip -c all.jsonl.gz | advect import - --principal control
    advect import prices.jsonl --prefix copy --principal control

A topic that exists must have the same type and properties. The events of a time series are appended, with their times;
author and sequence numbers are new.
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
    advect set leader me --if-no-value --principal control

A record_v2 value is a JSON list of records, which are lists of texts: [["a","b"],["c"]]. A value that is set for a time
series is appended to it.
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

const sessionsHelp = `
Prints id, start and principal of each session that the filter selects, oldest first; all of them without one:

    advect sessions --principal admin
    advect sessions "\$Principal is 'bob' and not (tier eq 'free')" -p 'tier,$ClientIP'
    advect sessions --watch --json

With --watch it goes on with what happens: opened, updated, disconnected, reconnected, closed. The others take the id of
a session or a filter, and print how many sessions they have changed:

    advect sessions close 5f1c0c2b9a3e7d10-0000000000000003
    advect sessions close "\$Principal is 'bob'"
    advect sessions set "\$Country in ['GB','US']" tier=gold --remove trial
    advect sessions roles 5f1c0c2b9a3e7d10-0000000000000003 --add TRADER --remove CLIENT

A filter compares session properties: is, eq, ne, matches, in ['a','b'], has KEY, hasRoles ['a'], and, or, not, ( ), all.
Keys that start with $ are set by the server. Quote it, since the shell reads $ and ' too.
`

const requestHelp = `
Sends a request and prints the answer. One to a path is answered by a session that has registered a handler there; one to
a session, or to all that a filter selects, by those sessions themselves:

    advect request orders/status '{"id":7}'
    advect request screen/message hello --session 5f1c0c2b9a3e7d10-0000000000000003 --principal control
    advect request screen/message hello --filter "\$Principal is 'kiosk'" --principal control

The type of the value is found as by set. With --filter each answer is a line with the id of its session; sessions that
do not answer are named on standard error, and the exit code is then 1.
`

const respondHelp = `
Answers requests to a path, or below it, and prints each: time, path, session and principal of the sender, request. Without an
answer each request is its own answer:

    advect respond echo --principal control
    advect respond orders/status '{"state":"open"}' --principal control
    advect respond screen/message ok --direct

With --direct it answers those that are sent to its session instead, whose id it prints to standard error when it is ready:

    advect: responding path=screen/message session=5f1c0c2b9a3e7d10-0000000000000003

Ctrl-C ends it with exit code 0.
`

const securityHelp = `
The server has a store of principals, with their passwords and roles, and a store of roles, with their permissions:

    advect security show --principal admin
    advect security show roles > roles.txt
    advect security apply roles roles.txt --principal admin
    echo "assign roles 'bob' ['CLIENT' 'TRADER']" | advect security apply principals - --principal admin
    advect security permissions orders/eu --principal bob

A script is applied as a whole, or not at all; each mistake is then shown as FILE:LINE:COLUMN, with exit code 1. What show
prints of roles is a script. Permissions are those of the session that the command opens.
`

const metricsHelp = `
Prints name, value and type of each sample:

    advect metrics --principal admin
    advect metrics diffusion_sessions_open advect_received_messages_total --principal admin
    advect metrics --pattern '.*bytes.*' --json --principal admin | jq -r .value
`

const logsHelp = `
Prints the log of the server, as far as the server keeps it:

    advect logs --last 20 --principal admin
    advect logs --from 1000 --count 50 --principal admin
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

const benchHelp = `
Opens sessions, publishes to topics of its own below bench/, accounts for every value, and removes the topics in the end,
also after Ctrl-C, which ends it with the results so far. docs/bench.md says what the figures mean:

    advect bench fanout --principal control --password password
    advect bench all --principal control --html report.html --json report.json

It needs a principal that may MODIFY_TOPIC, UPDATE_TOPIC, SELECT_TOPIC and READ_TOPIC at bench, for all sessions. With
VIEW_SERVER, or on the machine of the server, it shows processor time and memory of the server too. It exits with 1 if
a value was lost, came twice or out of order, or if a session failed.
`

const benchConnectHelp = `
Opens sessions that subscribe to a topic and shows how long opening took, and how long until the value came:

    advect bench connect --sessions 10000 --principal control
    advect bench connect --sessions 5000 --rate 200 --principal control

At a rate the time counts from when a session was due to begin.
`

const benchFanoutHelp = `
Updates one topic to which all sessions are subscribed:

    advect bench fanout --sessions 5000 --principal control
    advect bench fanout --sessions 5000 --rate 20 --size 1KiB --principal control

Read latency at a rate: as fast as possible it only says how much is under way.
`

const benchTopicsHelp = `
Updates many topics in turn; each session is subscribed to some of them:

    advect bench topics --topics 10000 --per-session 20 --sessions 2000 --principal control
`

const benchDeltasHelp = `
Updates large values of which little changes, so that differences go over the wire; shows the bytes of a delivery:

    advect bench deltas --size 64KiB --changing 5 --principal control
    advect bench deltas --property PUBLISH_VALUES_ONLY=true --principal control
`

const benchLatencyHelp = `
Publishes at one rate after the other and shows the latency of each, until one is more than server, network and this
program can do:

    advect bench latency --sessions 1000 --rates 10,50,100 --duration 10s --principal control

Latency counts from when an update was due, so what waits for its turn is in it.
`

const benchReconnectHelp = `
Cuts the connections of all sessions at once while values are published, and shows how long until each is back and
has a value that was published after the cut, and whether values were lost:

    advect bench reconnect --sessions 10000 --storms 3 --principal control

The time contains what clients wait before they reconnect: 50 to 100 ms before the first attempt.
`

const benchAllHelp = `
Every benchmark once, for a first impression and for a report:

    advect bench all --principal control --html report.html
`

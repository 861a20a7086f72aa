package main

const description = `Advect is a real-time data server and its tools, compatible with the client SDKs of the Diffusion platform.

Exit codes: 0 done, 1 failed, 2 mistake on the command line, in the environment or in the configuration file.`

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

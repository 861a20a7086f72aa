// Package inspect is a proxy that shows what a client and a server say to each
// other, over WebSocket and HTTP polling, and that can disturb them: cut,
// delay, refuse, or answer in the server's place.
//
// Bytes pass through as they are, but for the offer of WebSocket compression,
// which is taken out so that messages stay readable. A copy of each message is
// decoded with the declarations of package service and written as a line of
// text or of JSON. Passwords are never written, tokens only by their first
// characters.
//
// The control server takes POST requests with an optional JSON body:
//
//	/cut          {"transport": "websocket", "mode": "reset|fin|close1001"}
//	/fault        {"websocket": "503", "polling": "pass"}   for new connections, see [Faults]
//	/delay        {"ms": 200, "direction": "both|up|down"}
//	/random-cuts  {"minMs": 500, "maxMs": 3000}, or {"stop": true}
//
// and GET /stats and /healthz.
package inspect

package transport

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"testing"
)

// FuzzUpgrade reads whatever bytes as the request of a WebSocket. What it accepts says
// the same to net/http, to which all else is left.
func FuzzUpgrade(f *testing.F) {
	const rest = "Host: advect\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for _, seed := range []string{
		"GET /diffusion?ty=WB&v=29&ca=8&r=60000&sp=%7B%7D HTTP/1.1\r\n" + rest,
		"GET /any/prefix/diffusion HTTP/1.1\r\nv: 29\r\nty: WJ\r\nca: 8\r\nusername: admin\r\npassword: AQ==\r\n" + rest,
		"GET http://advect/diffusion?v=29 HTTP/1.1\r\nOrigin: http://advect\r\n" + rest,
		"GET /elsewhere HTTP/1.1\r\n" + rest,
		"GET /diffusion HTTP/1.0\r\n" + rest,
		"GET /diffusion#v=29 HTTP/1.1\r\n" + rest,
		"GET /diffusion?v=29 HTTP/1.1\r\nV: 29\r\nv : 30\r\n v: 31\r\n" + rest,
		"GET /diffusion HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + rest,
		"GET  HTTP/1.1\r\n\r\n", "GET ", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		if end := bytes.Index(head, endOfHead); end >= 0 {
			head = head[:end]
		}
		head = append(bytes.Clone(head), endOfHead...)
		before := bytes.Clone(head)
		query, header, answer, ok := readUpgrade(head)
		if !bytes.Equal(head, before) {
			t.Fatal("the request was changed, and it may be needed again")
		}
		if !ok {
			return
		}
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(answer, endOfHead) {
			t.Fatalf("answer %q", answer)
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil { // it is stricter with names and values that we do not look at
			return
		}
		if r.Method != http.MethodGet || !Serves(r.URL.Path) || r.URL.RawQuery != query {
			t.Fatalf("query %q of %s %q, of which net/http reads %q", query, r.Method, r.URL, r.URL.RawQuery)
		}
		for name := range isParameter {
			if ours, theirs := header.Values(name), r.Header.Values(name); !slices.Equal(ours, theirs) {
				t.Fatalf("header %s is %q, net/http reads %q", name, ours, theirs)
			}
		}
	})
}

package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/server"
)

// params are connection parameters (protocol 01 section 2).
type params map[string]string

// anonymous are the parameters of a client that will not reconnect.
func anonymous() params {
	return params{"ty": "WB", "v": "29", "ca": "8", "r": "0", "sp": "{}"}
}

// as adds a stock principal.
func (p params) as(principal string) params {
	return p.with("username", principal, "password", "AQhwYXNzd29yZA==")
}

// with sets parameters; those set to "" are left out.
func (p params) with(pairs ...string) params {
	p = maps.Clone(p)
	for i := 0; i < len(pairs); i += 2 {
		if p[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(p, pairs[i])
		}
	}
	return p
}

// recoverable are the parameters of a client that wants to reconnect, and that
// has not the defects of the JavaScript one.
func recoverable() params { return anonymous().with("r", "60000", "ty", "WJ") }

func encoded(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func (p params) query() string {
	var parts []string
	for name, value := range p {
		parts = append(parts, name+"="+encoded(value))
	}
	return strings.Join(parts, "&")
}

// A link carries protocol messages over one transport connection.
type link interface {
	send(message []byte) error
	// receive returns the next message, or an error once the connection ended.
	receive() ([]byte, error)
	// drop ends the connection without a word.
	drop()
}

// A kind opens links.
type kind struct {
	name string
	open func(testing.TB, string, params) (link, []byte, error)
}

var (
	overWebSocket = kind{"WebSocket", func(t testing.TB, host string, p params) (link, []byte, error) {
		return openWebSocket(t, host, p)
	}}
	overPolling = kind{"polling", func(t testing.TB, host string, p params) (link, []byte, error) {
		return openPolling(t, host, p)
	}}
	bothKinds = []kind{overWebSocket, overPolling}
)

func hostOf(srv *server.Server) string {
	u, _ := url.Parse(srv.URL())
	return u.Host
}

func dial(t testing.TB, host string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	_ = nc.SetDeadline(time.Now().Add(deadline))
	t.Cleanup(func() { _ = nc.Close() })
	return nc.(*net.TCPConn)
}

// A webSocket is a WebSocket client that does only what it is told.
type webSocket struct {
	nc net.Conn
	r  *bufio.Reader
}

const upgradeHeaders = "Host: advect\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

// openWebSocket upgrades and returns the connection response.
func openWebSocket(t testing.TB, host string, p params) (*webSocket, []byte, error) {
	return upgradeOn(dial(t, host), p)
}

func upgradeOn(nc net.Conn, p params) (*webSocket, []byte, error) {
	c := &webSocket{nc, bufio.NewReader(nc)}
	fmt.Fprintf(nc, "GET /diffusion?%s HTTP/1.1\r\n%s\r\n", p.query(), upgradeHeaders)
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil, nil, fmt.Errorf("upgrade answered %s", res.Status)
	}
	response, err := c.receive()
	return c, response, err
}

func (c *webSocket) send(message []byte) error {
	return c.write(ws.NewBinaryFrame(message))
}

// write masks and writes a frame.
func (c *webSocket) write(f ws.Frame) error {
	b, err := ws.CompileFrame(ws.MaskFrame(f))
	if err == nil {
		_ = c.nc.SetDeadline(time.Now().Add(deadline))
		_, err = c.nc.Write(b)
	}
	return err
}

// frame reads the next frame, of any kind.
func (c *webSocket) frame() (ws.Frame, error) {
	_ = c.nc.SetDeadline(time.Now().Add(deadline))
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		return ws.Frame{}, err
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	_, err = io.ReadFull(c.r, f.Payload)
	return f, err
}

var errClosing = errors.New("close frame")

func (c *webSocket) receive() ([]byte, error) {
	for {
		f, err := c.frame()
		switch {
		case err != nil:
			return nil, err
		case f.Header.OpCode == ws.OpPing:
			if err := c.write(ws.NewPongFrame(f.Payload)); err != nil {
				return nil, err
			}
			continue
		case f.Header.OpCode == ws.OpClose:
			return nil, errClosing
		case f.Header.Masked || !f.Header.Fin || f.Header.OpCode != ws.OpBinary:
			return nil, fmt.Errorf("unexpected frame %+v", f.Header)
		}
		return f.Payload, nil
	}
}

func (c *webSocket) drop() { _ = c.nc.Close() }

// A poller is an HTTP polling client that does only what it is told.
type poller struct {
	t      testing.TB
	url    string
	http   *http.Client
	token  string
	polls  int // number of the next poll
	sends  int // number of the next send
	inbox  [][]byte
	cancel context.CancelFunc // ends every request
	ctx    context.Context
}

var errReconnect = errors.New("diffusion-connection: reconnect")

func newPoller(t testing.TB, host string) *poller {
	c := &poller{t: t, url: "http://" + host + "/diffusion", http: &http.Client{Transport: &http.Transport{}}}
	c.ctx, c.cancel = context.WithTimeout(context.Background(), deadline)
	t.Cleanup(c.drop)
	return c
}

// openPolling connects and returns the connection response.
func openPolling(t testing.TB, host string, p params) (*poller, []byte, error) {
	c := newPoller(t, host)
	header := http.Header{"M": {"0"}}
	for name, value := range p {
		if name == "sp" || name == "username" {
			value = encoded(value)
		}
		header.Set(name, value)
	}
	res, body, err := c.post(header, "")
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("connect answered %s", res.Status)
	}
	if len(body) == 55 {
		c.token = string(body[19:43])
	}
	return c, body, nil
}

// post makes a request and returns the answer, whose body is read and closed.
func (c *poller) post(header http.Header, body string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header = header
	res, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	if res.Header.Get("Access-Control-Allow-Origin") == "" {
		c.t.Errorf("answer %s to m=%s lacks CORS headers", res.Status, header.Get("m"))
	}
	b, err := io.ReadAll(res.Body)
	return res, b, err
}

// numbered makes the poll (m = 1) or send (m = 2) with a number of its own.
func (c *poller) numbered(m, s int, body string) (string, error) {
	header := http.Header{}
	for name, value := range map[string]string{"m": strconv.Itoa(m), "c": c.token, "s": strconv.Itoa(s), "v": "29"} {
		header.Set(name, value)
	}
	res, b, err := c.post(header, body)
	switch {
	case err != nil:
		return "", err
	case res.Header.Get("diffusion-connection") == "reconnect":
		return "", errReconnect
	case res.StatusCode != http.StatusOK:
		return "", fmt.Errorf("m=%d answered %s", m, res.Status)
	}
	return string(b), nil
}

// poll makes one poll and returns the body of the answer.
func (c *poller) poll() (string, error) {
	c.polls++
	return c.numbered(1, c.polls-1, "")
}

func (c *poller) send(message []byte) error {
	c.sends++
	body, err := c.numbered(2, c.sends-1, batchOf(message))
	if err == nil && body != "" {
		err = fmt.Errorf("send answered with body %q", body)
	}
	return err
}

func (c *poller) receive() ([]byte, error) {
	for len(c.inbox) == 0 {
		body, err := c.poll()
		if err != nil {
			return nil, err
		}
		if c.inbox, err = unbatch(body); err != nil {
			return nil, err
		}
	}
	m := c.inbox[0]
	c.inbox = c.inbox[1:]
	return m, nil
}

func (c *poller) drop() {
	c.cancel()
	c.http.CloseIdleConnections()
}

// batchOf returns the body of a send (01 section 8.1).
func batchOf(messages ...[]byte) string {
	var b []byte
	for _, m := range messages {
		b = binary.BigEndian.AppendUint32(b, uint32(len(m)-1))
		b = append(b, m...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func unbatch(body string) (messages [][]byte, err error) {
	b, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("poll answered %q: %w", body, err)
	}
	for r := bytes.NewReader(b); r.Len() > 0; {
		var n uint32
		if err := binary.Read(r, binary.BigEndian, &n); err != nil || int(n) >= r.Len() {
			return nil, fmt.Errorf("poll answered a broken batch %x", b)
		}
		m := make([]byte, n+1)
		_, _ = io.ReadFull(r, m)
		messages = append(messages, m)
	}
	return messages, nil
}

func newReader(nc net.Conn) *bufio.Reader { return bufio.NewReader(nc) }

// unhex returns the bytes of a hexadecimal text with spaces.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

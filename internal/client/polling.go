package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"advect.dev/internal/wire"
)

// errReconnect is the server's wish to be connected to anew (01 section 8.3).
var errReconnect = errors.New("the server asked to reconnect")

// A polling connection has one poll and at most one send in flight
// (01 section 8).
type polling struct {
	cfg    *Config
	url    string
	client *http.Client
	token  string

	ctx     context.Context // ends with the connection
	cancel  context.CancelFunc
	batches chan [][]byte
	polled  chan struct{} // closed when polling has ended, after err was set
	err     error         // why

	unread [][]byte // of the batch that Read is in
	sends  int64    // number of the next send
	out    []byte   // scratch of Write
}

// dialPolling sends the connect request.
func dialPolling(ctx context.Context, cfg *Config, q *wire.ConnectRequest) (Conn, []byte, error) {
	p := &polling{cfg: cfg, url: cfg.url("http", "https").String(), batches: make(chan [][]byte, 1), polled: make(chan struct{})}
	p.client = &http.Client{
		Transport:     p.transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	res, err := p.do(ctx, "0", nil, q.Header)
	if err != nil {
		p.hangUp()
		return nil, nil, err
	}
	defer res.Body.Close()
	response, err := io.ReadAll(io.LimitReader(res.Body, leastBuffer))
	if err != nil {
		p.hangUp()
		return nil, nil, fmt.Errorf("read connection response: %w", err)
	}
	return p, response, nil
}

func (p *polling) transport() *http.Transport {
	t := &http.Transport{
		Proxy: p.cfg.Proxy,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return p.cfg.dial(ctx, address)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 2,
		ReadBufferSize:      max(p.cfg.ReadBuffer, leastBuffer),
		WriteBufferSize:     max(p.cfg.WriteBuffer, leastBuffer),
	}
	if p.cfg.Secure {
		t.TLSClientConfig = p.cfg.tlsConfig()
	}
	return t
}

// do makes one request of kind m; set adds the headers of the kind. The body of
// the answer, which is 200, is the caller's to close.
func (p *polling) do(ctx context.Context, m string, body []byte, set func(func(name, value string))) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range p.cfg.Header {
		q.Header[name] = values
	}
	if host := p.cfg.Header.Get("Host"); host != "" {
		q.Host = host
	}
	q.Header.Set("m", m)
	set(q.Header.Set)
	res, err := p.client.Do(q)
	if err != nil {
		return nil, err
	}
	switch {
	case res.Header.Get("diffusion-connection") == "reconnect":
		err = errReconnect
	case res.StatusCode != http.StatusOK:
		err = fmt.Errorf("HTTP status %s", res.Status)
	default:
		return res, nil
	}
	res.Body.Close()
	return nil, err
}

// numbered sets the headers of a poll or send.
func (p *polling) numbered(n int64) func(func(name, value string)) {
	return func(set func(name, value string)) {
		set("c", p.token)
		set("s", strconv.FormatInt(n, 10))
		set("v", strconv.Itoa(wire.Version))
	}
}

// start begins to poll for the session of token.
func (p *polling) start(token string) {
	p.token = token
	go func() {
		p.err = p.poll()
		close(p.polled)
	}()
}

// poll asks for the next batch while the one before is being read.
func (p *polling) poll() error {
	for n := int64(0); ; n++ {
		res, err := p.do(p.ctx, "1", nil, p.numbered(n))
		if err != nil {
			return err
		}
		batch, err := readBatch(res.Body, p.cfg.MaxMessageSize)
		res.Body.Close()
		if len(batch) > 0 {
			select {
			case p.batches <- batch:
			case <-p.ctx.Done():
				return p.ctx.Err()
			}
		}
		if err != nil {
			return err
		}
	}
}

// readBatch decodes a batch as it arrives. With an error it returns the
// messages before it.
func readBatch(body io.Reader, most int) (batch [][]byte, err error) {
	source := &source{r: body}
	r := bufio.NewReader(base64.NewDecoder(base64.StdEncoding, source))
	for {
		message, err := readEntry(r, most)
		switch {
		case err == nil:
			batch = append(batch, message)
		case source.err != nil && source.err != io.EOF:
			return batch, fmt.Errorf("read poll: %w", source.err)
		case err == io.EOF:
			return batch, nil
		case errors.Is(err, ErrTooLarge):
			return batch, err
		default:
			return batch, fmt.Errorf("%w: polling batch: %w", wire.ErrMalformed, err)
		}
	}
}

// readEntry reads one entry; io.EOF says that there is none.
func readEntry(r io.Reader, most int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[:])) + 1
	if n > int64(most) {
		return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, most)
	}
	var message []byte
	if n <= 4096 {
		message = make([]byte, 0, n)
	}
	message, err := readGrowing(r, message, int(n))
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return message, err
}

// A source remembers its reader's error, so that a cut connection can be told
// from a bad batch.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// Read implements [Conn].
func (p *polling) Read() ([]byte, error) {
	for len(p.unread) == 0 {
		select {
		case p.unread = <-p.batches:
			continue
		default:
		}
		select {
		case p.unread = <-p.batches:
		case <-p.polled:
			select { // the last batch came with the end
			case p.unread = <-p.batches:
			default:
				return nil, p.err
			}
		}
	}
	message := p.unread[0]
	p.unread[0], p.unread = nil, p.unread[1:]
	return message, nil
}

// Write implements [Conn].
func (p *polling) Write(messages [][]byte) error {
	batch := p.out[:0]
	for _, m := range messages {
		batch = wire.AppendBatchEntry(batch, m)
	}
	text := base64.StdEncoding.AppendEncode(nil, batch)
	if p.out = batch; cap(batch) > 4*max(p.cfg.WriteBuffer, leastBuffer) {
		p.out = nil
	}
	res, err := p.do(p.ctx, "2", text, p.numbered(p.sends))
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	p.sends++
	_, _ = io.CopyN(io.Discard, res.Body, leastBuffer) // so that the connection can be used again
	res.Body.Close()
	return nil
}

// Close implements [Conn].
func (p *polling) Close() {
	p.hangUp()
	if p.token != "" {
		<-p.polled
	}
}

func (p *polling) hangUp() {
	p.cancel()
	p.client.CloseIdleConnections()
}

package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// A publisher updates the topics of a run, each through an update stream. It
// belongs to one goroutine, but for what is counted.
type publisher struct {
	session   *advect.Session
	root      string
	documents []*document
	streams   []*advect.UpdateStream[datatype.JSON]
	sent      []uint64 // values of each topic
	turn      int
	stride    int // from one topic to the next in turn
	published atomic.Int64
}

// newPublisher opens the session that publishes, and checks that it may. When it
// loses its connection the run is over: so the server removes the topics
// should this program be killed.
func newPublisher(ctx context.Context, open Opener, s *Scenario, root string) (*publisher, error) {
	session, err := open(ctx, advect.WithReconnectTimeout(0))
	if err != nil {
		return nil, err
	}
	p := &publisher{session: session, root: root, stride: strideOf(s.Topics), sent: make([]uint64, s.Topics)}
	for topic := range s.Topics {
		p.documents = append(p.documents, newDocument(topic, s.Size, s.Changing))
	}
	if err := p.permitted(ctx); err != nil {
		_ = session.Close() // always nil
		return nil, err
	}
	return p, nil
}

// strideOf returns a step through a ring of topics that comes to each of them and
// leads far away: updates of neighbours would meet in the same sessions.
func strideOf(topics int) int {
	stride := max(1, topics*38/100)
	for a, b := stride, topics; ; {
		if a, b = b, a%b; b == 0 {
			if a == 1 {
				return stride
			}
			stride++
			a, b = stride, topics
		}
	}
}

// permitted returns an error that matches advect.ErrPermissionDenied and names the
// permissions that are missing.
func (p *publisher) permitted(ctx context.Context) error {
	have, err := p.session.Security().PathPermissions(ctx, p.root)
	if err != nil {
		return err
	}
	var missing []string
	for _, need := range []advect.PathPermission{
		advect.PermissionModifyTopic, advect.PermissionUpdateTopic, advect.PermissionSelectTopic, advect.PermissionReadTopic,
	} {
		if !slices.Contains(have, need) {
			missing = append(missing, need.String())
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the principal %q may not %s at %s: %w", p.session.Principal(), strings.Join(missing, ", "), p.root, advect.ErrPermissionDenied)
	}
	return nil
}

// begin adds the topics with their first values.
func (p *publisher) begin(ctx context.Context, s *Scenario, now func() time.Duration) error {
	specification := advect.NewSpecification(advect.JSON, advect.With(advect.PropertyRemoval, "when this session closes"))
	maps.Copy(specification.Properties, s.Properties)
	var pending []*advect.PendingUpdate
	for topic, d := range p.documents {
		stream, err := advect.NewUpdateStream[datatype.JSON](p.session.Topics(), topicPath(p.root, topic), advect.WithSpecification(specification))
		if err != nil {
			return err
		}
		p.streams = append(p.streams, stream)
		p.sent[topic] = 1
		update, err := stream.Start(ctx, d.next(1, now()))
		if err != nil {
			return err
		}
		pending = append(pending, update)
	}
	for _, update := range pending {
		if err := update.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// publish sends the next value of the topic whose turn it is. It blocks while the
// session's queue is full.
func (p *publisher) publish(ctx context.Context, due time.Duration) error {
	topic := p.turn
	if _, err := p.streams[topic].Start(ctx, p.documents[topic].next(p.sent[topic]+1, due)); err != nil {
		return err
	}
	p.turn = (topic + p.stride) % len(p.streams)
	p.sent[topic]++
	p.published.Add(1)
	return nil
}

// failed returns the error of the first stream that the server has refused.
func (p *publisher) failed() error {
	for _, s := range p.streams {
		if err := s.Err(); err != nil {
			return err
		}
	}
	return p.session.Err()
}

// removeWithin is how long removing the topics may take.
const removeWithin = 10 * time.Second

// close removes the topics and closes the session.
func (p *publisher) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), removeWithin, errors.New("no answer in time"))
	defer cancel()
	_, err := p.session.Topics().Remove(ctx, "?"+p.root+"//")
	_ = p.session.Close() // always nil
	if err != nil {
		return fmt.Errorf("the topics below %s stay until the server has noticed that the session is closed: %w", p.root, err)
	}
	return nil
}

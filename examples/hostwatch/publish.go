package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"sync"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

const roundTimeout = 10 * time.Second

// A Watch publishes the samples of a collector, for as long as its context says.
type Watch struct {
	URL, Principal, Password string
	Interval                 time.Duration // between rounds
	Retry                    time.Duration // before another try to open a session
	Rounds                   int64         // stop after so many; 0 does not stop
	Name                     string
	Collector                *Collector

	round     int64
	announced bool
}

// Run publishes until ctx ends, which is no error, all rounds are done, or the
// server refuses. The session survives the loss of its connection by itself; when
// it does not, because the server has forgotten it, Run opens another one.
func (w *Watch) Run(ctx context.Context) error {
	for {
		session, err := w.open(ctx)
		if err == nil {
			err = w.publish(ctx, session)
			session.Close()
		}
		switch {
		case ctx.Err() != nil || err == nil:
			return nil
		case !errors.Is(err, advect.ErrTransient) && session == nil, errors.Is(err, advect.ErrPermissionDenied):
			return err
		}
		log.Printf("session ended: %v", err)
	}
}

// open waits for a server for as long as it takes.
func (w *Watch) open(ctx context.Context) (*advect.Session, error) {
	retry := func(attempt int, err error) (time.Duration, bool) {
		if attempt == 1 {
			log.Printf("no session: %v; trying again every %v", err, w.Retry)
		}
		return w.Retry, true
	}
	return advect.Open(ctx, w.URL,
		advect.WithPrincipal(w.Principal), advect.WithPassword(w.Password),
		advect.WithConnectionTimeout(0), advect.WithRetryFunc(retry),
		advect.WithStateListener(func(_ *advect.Session, old, state advect.State) {
			if old != advect.Connecting && !state.IsClosed() {
				log.Printf("session %v", state)
			}
		}))
}

// publish sends a sample per interval until ctx or the session ends, or all rounds are done.
func (w *Watch) publish(ctx context.Context, session *advect.Session) error {
	branch := newBranch(session.Topics(), "hostwatch/"+w.Name)
	defer func() {
		if session.State().IsConnected() {
			branch.remove()
		}
	}()
	ticker := time.NewTicker(w.Interval)
	defer ticker.Stop()
	for w.Rounds == 0 || w.round < w.Rounds {
		select {
		case <-ctx.Done():
			return nil
		case <-session.Done():
			return session.Err()
		case <-ticker.C:
		}
		if !session.State().IsConnected() {
			continue // A figure that is late is of no use: the next round has newer ones.
		}
		if err := w.publishRound(ctx, branch); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, advect.ErrPermissionDenied) {
				return err
			}
			log.Printf("round %d: %v", w.round, err)
		}
	}
	return nil
}

func (w *Watch) publishRound(ctx context.Context, branch *branch) error {
	w.round++
	sample := w.Collector.Sample()
	sample.Round = w.round
	values := sample.Values()
	document, err := datatype.NewJSON(sample)
	if err != nil {
		return fmt.Errorf("encode sample: %w", err)
	}
	values["all"] = document
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	if err := branch.set(ctx, values); err != nil {
		return err
	}
	if !w.announced {
		w.announced = true
		fmt.Printf("hostwatch: publishing topic=hostwatch/%s/all topics=%d interval=%v url=%s\n",
			w.Name, len(values), w.Interval, w.URL)
	}
	return nil
}

// A branch is the topics that this session has added below a path.
type branch struct {
	topics *advect.Topics
	root   string
	added  map[string]bool
}

func newBranch(topics *advect.Topics, root string) *branch {
	return &branch{topics: topics, root: root, added: map[string]bool{}}
}

// set publishes one round of values, all at the same time so that it takes one
// round trip, and removes the topics that have no value any more, such as those
// of a network interface that is gone.
func (b *branch) set(ctx context.Context, values map[string]datatype.Value) error {
	names := slices.Collect(maps.Keys(values))
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		known := b.added[name]
		all.Go(func() { errs[i] = b.setOne(ctx, name, values[name], known) })
	}
	all.Wait()
	for i, name := range names {
		b.added[name] = errs[i] == nil
	}
	for name := range b.added {
		if _, ok := values[name]; !ok {
			if _, err := b.topics.Remove(ctx, b.root+"/"+name); err != nil {
				return err
			}
			delete(b.added, name)
		}
	}
	return cmp.Or(errs...) // The first: what keeps one value from being set mostly keeps all.
}

// setOne adds a topic with its first value, and then only sets it.
func (b *branch) setOne(ctx context.Context, name string, value datatype.Value, known bool) error {
	path := b.root + "/" + name
	if known {
		return b.topics.Set(ctx, path, value)
	}
	_, err := b.topics.AddAndSet(ctx, path, advect.NewSpecification(advect.TopicType(value.Type())), value)
	return err
}

// remove takes the topics away, so that nobody takes the last figures for live ones.
func (b *branch) remove() {
	paths := slices.Collect(maps.Keys(b.added))
	for i := range paths {
		paths[i] = b.root + "/" + paths[i]
	}
	if len(paths) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := b.topics.Remove(ctx, paths...); err != nil {
		log.Printf("remove topics: %v", err)
	}
}

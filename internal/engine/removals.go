package engine

import (
	"context"

	"advect.dev/internal/removal"
	"advect.dev/internal/security"
	"advect.dev/internal/tree"
	"advect.dev/internal/wire"
)

// removals evaluates the removal policies of topics, in one goroutine.
type removals struct {
	scheduler *removal.Scheduler
	cancel    context.CancelFunc
	done      chan struct{}
}

func startRemovals(e *Engine) *removals {
	ctx, cancel := context.WithCancel(context.Background())
	r := &removals{
		scheduler: removal.New(removal.Config{Interval: e.cfg.RemovalInterval, Sessions: e, Remove: e.removeByPolicy}),
		cancel:    cancel, done: make(chan struct{}),
	}
	go func() {
		defer close(r.done)
		r.scheduler.Run(ctx)
	}()
	return r
}

func (r *removals) stop() {
	r.cancel()
	<-r.done
}

// removeByPolicy removes what the policy of a topic says, with the roles that the
// creator had (12 section 12.6).
func (e *Engine) removeByPolicy(subject removal.Subject, policy *removal.Policy) {
	life := subject.(*tree.Life)
	sel := policy.Selector()
	if sel == nil {
		e.tree.RemoveTopic(life.Topic())
		return
	}
	by := life.Author()
	id := identity{principal: by.Principal, grant: e.cfg.Policies.Policy().Resolve(by.Roles)}
	e.tree.Remove(sel, func(n *tree.Topic) bool { return n == life.Topic() || id.may(security.ModifyTopic, n) })
}

// Open implements [removal.Sessions].
func (e *Engine) Open(id string) bool {
	parsed, err := wire.ParseSessionID(id)
	return err == nil && e.session(parsed) != nil
}

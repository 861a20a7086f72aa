package engine

import (
	"fmt"
	"sync"

	"advect.dev/internal/alert"
	"advect.dev/internal/observe"
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/tree"
)

// maxAlertTopics bounds the topics that alerts make: their paths may come from
// labels.
const maxAlertTopics = 10_000

// alertTopics are the topics that metric alerts have created, which alone they
// update.
type alertTopics struct {
	mu     sync.Mutex
	byPath map[string]*tree.Topic
}

func newAlerts(e *Engine) *alert.Table {
	return alert.NewTable(alert.Config{
		Server: e.cfg.ServerName, Log: e.cfg.Log, Publish: e.publishAlert,
		Collections: func(name string) service.MetricCollections {
			f, _ := observe.NewFilter([]string{name}, "") // without a pattern there is no error
			c, _ := e.registry.Collections(f)
			return c
		},
	})
}

// publishAlert creates or updates the topic of an alert, with the roles that its
// creator had (34 section 3).
func (e *Engine) publishAlert(a *service.MetricAlert, s *alert.Specification, path string, value []byte) error {
	path = topic.Canonical(path)
	grant := e.cfg.Policies.Policy().Resolve(a.Roles)
	if !grant.Path(path, security.ModifyTopic) || !grant.Path(path, security.UpdateTopic) {
		return fmt.Errorf("the creator of the alert may not add and update topics at %q", path)
	}
	by := &tree.Author{Principal: a.Principal, Roles: a.Roles}
	t := &e.alertTopics
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := e.tree.Get(path); n != nil {
		if t.byPath[path] != n {
			return fmt.Errorf("the topic at %q was not created by an alert, so it is left alone", path)
		}
		return e.tree.SetTopic(by, n, value)
	}
	if len(t.byPath) >= maxAlertTopics {
		for path, n := range t.byPath {
			if e.tree.Get(path) != n {
				delete(t.byPath, path)
			}
		}
		if len(t.byPath) >= maxAlertTopics {
			return fmt.Errorf("alerts have created %d topics: remove some before they add %q", len(t.byPath), path)
		}
	}
	_, err := e.tree.AddAndSet(by, &service.AddAndSetRequest{
		Path: path, Specification: s.Topic, Value: value, Constraint: service.Constraint{Kind: service.NoTopic},
	})
	if err != nil {
		return err
	}
	if t.byPath == nil {
		t.byPath = make(map[string]*tree.Topic)
	}
	if n := e.tree.Get(path); n != nil { // nil: removed already
		t.byPath[path] = n
	}
	return nil
}

package engine

import (
	"errors"
	"slices"

	"advect.dev/internal/alert"
	"advect.dev/internal/observe"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// getMetrics reads the metrics of this server, which is all servers (34 section 2).
func (s *Session) getMetrics(r service.MetricsRequest) (service.Metrics, error) {
	e := s.engine
	if r.Target == service.NamedServer && r.Server != e.cfg.ServerName {
		return service.Metrics{}, nil
	}
	f, err := observe.NewFilter(r.Names, r.Pattern)
	if err != nil {
		return nil, err
	}
	all, err := e.registry.Collections(f)
	if err != nil {
		return nil, err
	}
	if size := observe.Size(all); size > e.cfg.MaxResultSize {
		return nil, wire.Errorf(wire.CodeCommunicationFailure,
			"the metrics take about %d bytes, too many for one answer: ask for some of them by name", size)
	}
	return service.Metrics{e.cfg.ServerName: all}, nil
}

// serverMetrics answers an older service that has other names, of which there are
// none.
func (s *Session) serverMetrics(service.Empty) (service.ServerMetrics, error) {
	return service.ServerMetrics{s.engine.cfg.ServerName: nil}, nil
}

func (s *Session) entityClassMetrics(service.EntityClassRequest) (service.EntityClassMetrics, error) {
	return service.EntityClassMetrics{}, nil
}

func (s *Session) fetchJMX(service.JMXRequest) (service.JMXResult, error) {
	return service.JMXResult{s.engine.cfg.ServerName: {
		Err: wire.Errorf(wire.CodeUnsupported, "Unsupported: this server has no managed objects; ask for its metrics with %s", service.GetMetrics),
	}}, nil
}

// putSessionCollector reports what is wrong with a collector (34 section 1).
func (s *Session) putSessionCollector(d service.SessionMetricCollector) (service.Errors, error) {
	if err := s.engine.collectors.PutSessions(d); err != nil {
		return reports(err), nil
	}
	return nil, nil
}

func (s *Session) removeSessionCollector(name service.Text) (res service.Empty, err error) {
	s.engine.collectors.RemoveSessions(string(name))
	return res, nil
}

func (s *Session) listSessionCollectors(service.Empty) (service.SessionMetricCollectors, error) {
	return s.engine.collectors.ListSessions(), nil
}

func (s *Session) putTopicCollector(d service.TopicMetricCollector) (res service.Empty, err error) {
	if err := s.engine.collectors.PutTopics(d); err != nil {
		return res, wire.Errorf(wire.CodeInvalidData, "%v", err)
	}
	return res, nil
}

func (s *Session) removeTopicCollector(name service.Text) (res service.Empty, err error) {
	s.engine.collectors.RemoveTopics(string(name))
	return res, nil
}

func (s *Session) listTopicCollectors(service.Empty) (service.TopicMetricCollectors, error) {
	return s.engine.collectors.ListTopics(), nil
}

// setAlert reports what is wrong with an alert (34 section 3).
func (s *Session) setAlert(r service.MetricAlertRequest) (service.Errors, error) {
	id := s.identity.Load()
	err := s.engine.alerts.Set(service.MetricAlert{
		MetricAlertRequest: r, Principal: id.principal, Roles: slices.Clone(id.roles),
	})
	var e *alert.Error
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &e):
		return service.Errors{{Message: e.Reason, Line: int32(e.Line), Column: int32(e.Column)}}, nil
	}
	return reports(err), nil
}

func (s *Session) listAlerts(service.Empty) (service.MetricAlerts, error) {
	return s.engine.alerts.List(), nil
}

func (s *Session) removeAlert(name service.Text) (res service.Empty, err error) {
	s.engine.alerts.Remove(string(name))
	return res, nil
}

// fetchLog returns a part of the log that is kept (34 section 4).
func (s *Session) fetchLog(r service.LogRequest) (res service.LogEntries, err error) {
	if log := s.engine.cfg.Entries; log != nil {
		res = log.Fetch(r, s.engine.cfg.MaxResultSize)
	}
	return res, nil
}

package advect_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
)

// TestMetricsOnServer is with the real server.
func TestMetricsOnServer(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	admin, client := open(t, url, "admin"), open(t, url, "client")
	metrics := admin.Metrics()
	read := func(query advect.MetricsQuery) []advect.Metric {
		t.Helper()
		servers, err := metrics.Read(ctx, query)
		if err != nil || len(servers) != 1 {
			t.Fatalf("%v, %v", servers, err)
		}
		for _, list := range servers {
			return list
		}
		return nil
	}
	open := read(advect.MetricsQuery{Names: []string{"diffusion_sessions_open"}})
	if len(open) != 1 || open[0].Type != advect.MetricGauge || open[0].Samples[0].Value != 2 {
		t.Errorf("sessions %+v", open)
	}
	if all := read(advect.MetricsQuery{AllServers: true}); len(all) < 10 {
		t.Errorf("%d metrics", len(all))
	}
	if none := read(advect.MetricsQuery{Pattern: "no_such_.*"}); len(none) != 0 {
		t.Errorf("%+v", none)
	}
	_, err := client.Metrics().Read(ctx, advect.MetricsQuery{})
	wantIs(t, "without permission", err, advect.ErrPermissionDenied)

	sessions := advect.SessionMetricCollector{Name: "s", Filter: "all", GroupBy: []string{"$Principal"}, MaxGroups: 10, RemoveEmpty: true}
	topics := advect.TopicMetricCollector{Name: "t", Selector: "?a//", GroupByType: true, GroupByPathParts: 1}
	if err := errors.Join(metrics.PutSessionCollector(ctx, sessions), metrics.PutTopicCollector(ctx, topics)); err != nil {
		t.Fatal(err)
	}
	gotSessions, err := metrics.SessionCollectors(ctx)
	if diff := cmp.Diff([]advect.SessionMetricCollector{sessions}, gotSessions, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v, collectors (-want +got):\n%s", err, diff)
	}
	gotTopics, err := metrics.TopicCollectors(ctx)
	if diff := cmp.Diff([]advect.TopicMetricCollector{topics}, gotTopics); err != nil || diff != "" {
		t.Errorf("%v, collectors (-want +got):\n%s", err, diff)
	}
	sessions.Filter = "$Principal is"
	wantIs(t, "bad filter", metrics.PutSessionCollector(ctx, sessions), advect.ErrInvalidFilter)
	if err := errors.Join(metrics.RemoveSessionCollector(ctx, "s"), metrics.RemoveTopicCollector(ctx, "t"), metrics.RemoveTopicCollector(ctx, "t")); err != nil {
		t.Error(err)
	}
}

func TestMetricAlertOnServer(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	admin := open(t, url, "admin")
	metrics := admin.Metrics()
	var problems *advect.ScriptError
	if err := metrics.SetAlert(ctx, "a", "select into"); !errors.Is(err, advect.ErrInvalidScript) || !errors.As(err, &problems) {
		t.Errorf("bad specification: %v", err)
	}
	const specification = "select diffusion_sessions_open into topic alerts/sessions where value > 0"
	if err := metrics.SetAlert(ctx, "many", specification); err != nil {
		t.Fatal(err)
	}
	alerts, err := metrics.Alerts(ctx)
	if err != nil || len(alerts) != 1 || alerts[0].Name != "many" || alerts[0].Specification != specification || alerts[0].Principal != "admin" {
		t.Errorf("%+v, %v", alerts, err)
	}
	for update, err := range advect.Values[datatype.JSON](ctx, admin, "alerts/sessions") {
		if err != nil {
			t.Fatal(err)
		}
		var alert struct {
			Name  string  `json:"alert_name"`
			Value float64 `json:"value"`
		}
		if err := update.Value.Decode(&alert); err != nil || alert.Name != "many" || alert.Value < 1 {
			t.Errorf("%s, %v", update.Value, err)
		}
		break
	}
	if err := errors.Join(metrics.RemoveAlert(ctx, "many"), metrics.RemoveAlert(ctx, "none")); err != nil {
		t.Error(err)
	}
}

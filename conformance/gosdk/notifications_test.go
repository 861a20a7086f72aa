package gosdk

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// listen adds a listener and records what it is told, as "ADDED path" or "ADDED (path)".
func (s *scene) listen(session *advect.Session, root string) (*advect.TopicListenerHandle, *record[string]) {
	s.t.Helper()
	told := newRecord[string]("notifications")
	l, err := session.Topics().AddListener(advect.TopicListener{
		OnNotification: func(n advect.TopicNotification) {
			path := strings.TrimPrefix(n.Path, root+"/")
			if n.Direct {
				told.add(fmt.Sprint(n.Kind, " ", path, " ", n.Specification.Type))
			} else {
				told.add(fmt.Sprintf("%v (%s)", n.Kind, path))
			}
		},
		OnClose: func(err error) { told.add(fmt.Sprint("close ", err)) },
	})
	s.none(err, "add listener")
	return l, told
}

// told waits for as many notifications as are wanted, and compares them in any
// order: there is one only for each path.
func (s *scene) told(r *record[string], want ...string) {
	s.t.Helper()
	all, err := r.until(patience, func(all []string) bool { return len(all) >= len(want) })
	s.none(err, "notifications")
	slices.Sort(all)
	slices.Sort(want)
	s.equal(strings.Join(all, ", "), strings.Join(want, ", "), "notifications")
}

func notificationsTopics(s *scene) {
	session, publisher := s.owner(), s.publisher(shared.port)
	root := s.path()
	publisher.add(root+"/a", advect.Int64)
	l, told := s.listen(session.Session, root)
	s.none(l.Select(s.ctx, "?"+root+"/"), "select")
	publisher.add(root+"/b", advect.String)
	_, err := publisher.Topics().Remove(s.ctx, root+"/a")
	s.none(err, "remove")
	s.told(told, "SELECTED a INT64", "ADDED b STRING", "REMOVED a INT64")
	s.none(l.Deselect(s.ctx, "?"+root+"/"), "deselect")
	s.told(told, "SELECTED a INT64", "ADDED b STRING", "REMOVED a INT64", "DESELECTED b STRING")
	s.none(l.Close(s.ctx), "close")
	s.told(told, "SELECTED a INT64", "ADDED b STRING", "REMOVED a INT64", "DESELECTED b STRING", "close <nil>")
}

func notificationsDescendants(s *scene) {
	session, publisher := s.owner(), s.publisher(shared.port)
	root := s.path()
	publisher.add(root+"/c", advect.Int64)
	publisher.add(root+"/c/d", advect.Int64)
	l, told := s.listen(session.Session, root)
	s.none(l.Select(s.ctx, ">"+root), "select")
	publisher.add(root+"/e/f/g", advect.Int64)
	publisher.add(root+"/e/f/g/h", advect.Int64)
	s.told(told, "SELECTED (c)", "ADDED (e/f/g)")
}

func notificationsOrder(s *scene) {
	session, publisher := s.owner(), s.publisher(shared.port)
	root := s.path()
	for i := range 50 {
		publisher.add(fmt.Sprintf("%s/%d", root, i), advect.Int64)
	}
	for range 3 {
		n := 0
		for notification, err := range advect.Notifications(s.ctx, session.Session, "?"+root+"/") {
			s.none(err, "notifications")
			s.equal(notification.Kind, advect.NotificationSelected, "kind")
			if n++; n == 50 {
				break
			}
		}
	}
}

func notificationsTwo(s *scene) {
	session, publisher := s.owner(), s.publisher(shared.port)
	root := s.path()
	first, toldFirst := s.listen(session.Session, root)
	second, toldSecond := s.listen(session.Session, root)
	s.none(first.Select(s.ctx, root+"/a"), "select")
	s.none(second.Select(s.ctx, root+"/b"), "select")
	publisher.add(root+"/a", advect.Int64)
	s.told(toldFirst, "ADDED a INT64")
	s.none(first.Close(s.ctx), "close")
	publisher.add(root+"/b", advect.Int64)
	s.told(toldSecond, "ADDED b INT64")
	s.told(toldFirst, "ADDED a INT64", "close <nil>")
}

func notificationsReconnection(s *scene) {
	f := s.subscribed(shared.port, as("control")...)
	root := s.path()
	l, told := s.listen(f.session, root)
	s.none(l.Select(s.ctx, "?"+root+"/"), "select")
	f.lose()
	var want []string
	for i := range 5 {
		f.publisher.add(fmt.Sprintf("%s/%d", root, i), advect.Int64)
		want = append(want, fmt.Sprintf("ADDED %d INT64", i))
	}
	f.found()
	all, err := told.until(patience, func(all []string) bool { return len(all) >= len(want) })
	s.none(err, "notifications")
	s.equal(all, want, "notifications in order")
}

// handle adds a handler of missing topics that records their paths, and adds them.
func (s *scene) handle(session *advect.Session, path string) (*advect.MissingTopicHandle, *record[advect.MissingTopic]) {
	s.t.Helper()
	asked := newRecord[advect.MissingTopic]("missing topics")
	h, err := session.Topics().AddMissingTopicHandler(s.ctx, path, advect.MissingTopicHandler{OnMissingTopic: func(m advect.MissingTopic) {
		_, err := session.Topics().AddAndSet(s.ctx, m.Path, advect.NewSpecification(advect.String), datatype.String("made"))
		if err == nil {
			asked.add(m)
		}
	}})
	s.none(err, "add missing topic handler")
	return h, asked
}

func missingNotified(s *scene) {
	session := s.owner()
	root := s.path()
	_, asked := s.handle(session.Session, root)
	client := s.connect(as("client")...)
	stream := watch[datatype.String](s, client, root+"/x")
	s.subscribe(client, root+"/x")
	s.awaitValue(stream, `"made"`)
	all, err := asked.until(patience, func(all []advect.MissingTopic) bool { return len(all) == 1 })
	s.none(err, "missing topics")
	s.equal(all[0].Path, root+"/x", "path")
	s.ok(strings.HasSuffix(all[0].Selector, root+"/x"), "selector %s", all[0].Selector)
	s.equal(all[0].SessionID, client.ID(), "session")
	s.equal(all[0].Properties["$Principal"], "client", "principal")
}

func missingLongest(s *scene) {
	session := s.owner()
	root := s.path()
	_, short := s.handle(session.Session, root)
	_, long := s.handle(session.Session, root+"/a")
	client := s.connect(as("client")...)
	s.subscribe(client, root+"/a/b")
	_, err := long.until(patience, func(all []advect.MissingTopic) bool { return len(all) == 1 })
	s.none(err, "the longer")
	s.subscribe(client, root+"/ab")
	all, err := short.until(patience, func(all []advect.MissingTopic) bool { return len(all) == 1 })
	s.none(err, "the shorter")
	s.equal(all[0].Path, root+"/ab", "path")
	s.equal(len(long.all()), 1, "calls of the longer")
}

func missingConflict(s *scene) {
	session, other := s.owner(), s.owner()
	root := s.path()
	s.handle(session.Session, root)
	for _, again := range []publisher{session, other} {
		_, err := again.Topics().AddMissingTopicHandler(s.ctx, root, advect.MissingTopicHandler{})
		s.is(err, "a second handler", advect.ErrHandlerConflict)
	}
}

func missingDeregister(s *scene) {
	session, other := s.owner(), s.owner()
	root := s.path()
	h, first := s.handle(session.Session, root)
	s.none(h.Close(s.ctx), "close")
	_, second := s.handle(other.Session, root)
	s.subscribe(s.connect(as("client")...), root+"/x")
	_, err := second.until(patience, func(all []advect.MissingTopic) bool { return len(all) == 1 })
	s.none(err, "the second handler")
	s.equal(len(first.all()), 0, "calls of the first handler")
	s.none(other.Close(), "close the session")
	deadline := time.Now().Add(patience)
	for { // the server hears of the end of a session by and by
		_, err := session.Topics().AddMissingTopicHandler(s.ctx, root, advect.MissingTopicHandler{})
		if err == nil {
			break
		}
		s.is(err, "a third handler", advect.ErrHandlerConflict)
		s.ok(time.Now().Before(deadline), "the path is not free")
	}
}

func missingPermissions(s *scene) {
	_, err := s.connect(as("client")...).Topics().AddMissingTopicHandler(s.ctx, s.path(), advect.MissingTopicHandler{})
	s.is(err, "without the permission", advect.ErrPermissionDenied)
}

package tree

// What most clients have one or a few of stands in a slice, and gets a map only
// when there are more: a map of one entry takes 200 bytes and more.

// few is how many there are without a map.
const few = 8

// subscriptions are those of a client, by topic. The zero value is empty.
type subscriptions struct {
	list   []*Subscription
	places map[*Topic]int // in list; nil while it is short
}

func (s *subscriptions) len() int { return len(s.list) }

// place returns the place of a topic in the list, or -1.
func (s *subscriptions) place(n *Topic) int {
	if s.places != nil {
		if at, ok := s.places[n]; ok {
			return at
		}
		return -1
	}
	for at, sub := range s.list {
		if sub.Topic == n {
			return at
		}
	}
	return -1
}

// get returns the subscription to a topic, or nil.
func (s *subscriptions) get(n *Topic) *Subscription {
	if at := s.place(n); at >= 0 {
		return s.list[at]
	}
	return nil
}

// add adds a subscription to a topic that has none.
func (s *subscriptions) add(sub *Subscription) {
	s.list = append(s.list, sub)
	switch {
	case s.places != nil:
		s.places[sub.Topic] = len(s.list) - 1
	case len(s.list) > few:
		s.places = make(map[*Topic]int, 2*few)
		for at, sub := range s.list {
			s.places[sub.Topic] = at
		}
	}
}

// remove takes the subscription to a topic out, if there is one. The last takes
// its place, so that a loop over the list that removes goes backwards. The memory of
// the last one is given back.
func (s *subscriptions) remove(n *Topic) {
	at, last := s.place(n), len(s.list)-1
	if at < 0 {
		return
	}
	s.list[at] = s.list[last]
	if s.places != nil {
		s.places[s.list[at].Topic] = at
		delete(s.places, n)
	}
	s.list[last] = nil
	if s.list = s.list[:last]; last == 0 {
		*s = subscriptions{}
	}
}

// scopes are those of a client, by name. The zero value is empty.
type scopes struct {
	list   []scope
	places map[string]int // in list; nil while it is short
}

// get returns a scope, or nil. It is valid until another is added or removed.
func (s *scopes) get(name string) *scope {
	if s.places != nil {
		if at, ok := s.places[name]; ok {
			return &s.list[at]
		}
		return nil
	}
	for at := range s.list {
		if s.list[at].name == name {
			return &s.list[at]
		}
	}
	return nil
}

// add adds an empty scope with a name that none has.
func (s *scopes) add(name string) *scope {
	s.list = append(s.list, scope{name: name})
	at := len(s.list) - 1
	switch {
	case s.places != nil:
		s.places[name] = at
	case len(s.list) > few:
		s.places = make(map[string]int, 2*few)
		for at := range s.list {
			s.places[s.list[at].name] = at
		}
	}
	return &s.list[at]
}

// remove takes a scope out, if it is there, as with subscriptions.
func (s *scopes) remove(name string) {
	gone, last := s.get(name), len(s.list)-1
	if gone == nil {
		return
	}
	*gone = s.list[last]
	if s.places != nil {
		s.places[gone.name] = s.places[name]
		delete(s.places, name)
	}
	s.list[last] = scope{}
	if s.list = s.list[:last]; last == 0 {
		*s = scopes{}
	}
}

package advect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"advect.dev/internal/service"
)

// A SessionQuery says which sessions to list, and what of them. The zero value
// lists all, without properties.
type SessionQuery struct {
	// Filter selects sessions (see [Clients]). Default: all.
	Filter string
	// Properties are keys of the session properties to list: [AllFixedProperties]
	// and [AllUserProperties] stand for many.
	Properties []string
	// From and To limit when sessions started, both included, in milliseconds.
	// Zero is no limit.
	From, To time.Time
	// First is the largest number of results, counted from the session that
	// started first, or Last, from the one that started last. Default 0: no limit.
	// Only one can be set.
	First, Last int
	// MaxResultSize bounds the response, in bytes. Default, and most: the largest
	// message that the session accepts. Beyond it results are left out.
	MaxResultSize int
}

// A FetchedSession is a session of a [SessionResult].
type FetchedSession struct {
	SessionID SessionID
	Started   time.Time // in milliseconds
	// Properties are those that the query asked for and the session has.
	Properties map[string]string
}

// A SessionResult is the answer to a [SessionQuery].
type SessionResult struct {
	// Sessions are the results, those that started first at first.
	Sessions []FetchedSession
	// Total is the number of sessions that the filter and the times select,
	// also those left out because of First, Last or MaxResultSize.
	Total int
}

// More says that sessions were left out.
func (r *SessionResult) More() bool { return len(r.Sessions) < r.Total }

// startTimeProperty is the property that says when a session was opened.
const startTimeProperty = "$StartTime"

// Fetch lists sessions as they are at the moment (protocol 31 section 5).
func (c *Clients) Fetch(ctx context.Context, query SessionQuery) (SessionResult, error) {
	request, err := query.request(c.session.maxMessageSize())
	if err != nil {
		return SessionResult{}, fmt.Errorf("fetch sessions: %w", err)
	}
	response, err := call(ctx, c.session, service.SessionFetch, request)
	if err == nil {
		err = filterError(response.Errors)
	}
	var result SessionResult
	if err == nil {
		result, err = query.result(&response)
	}
	if err != nil {
		return SessionResult{}, fmt.Errorf("fetch sessions of %q: %w", request.Filter, err)
	}
	return result, nil
}

func (q *SessionQuery) request(maxSize int) (r service.SessionQuery, err error) {
	r.Filter, r.StartTime, r.Keys = q.Filter, true, q.Properties
	if r.Filter == "" {
		r.Filter = "all"
	}
	if !q.wants(sessionIDProperty) {
		r.Keys = append(slices.Clone(q.Properties), sessionIDProperty)
	}
	r.From, r.To = milliseconds(q.From), milliseconds(q.To)
	switch {
	case q.First < 0 || q.Last < 0:
		return r, errors.New("the query has a negative First or Last")
	case q.First > 0 && q.Last > 0:
		return r, errors.New("the query has both First and Last")
	case q.First > 0:
		n := clamp(q.First)
		r.Limit = &n
	case q.Last > 0:
		n := -clamp(q.Last)
		r.Limit = &n
	}
	if r.MaxResultSize = clamp(maxSize); q.MaxResultSize > 0 {
		r.MaxResultSize = min(r.MaxResultSize, clamp(q.MaxResultSize))
	}
	return r, nil
}

func milliseconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.UnixMilli()
	return &n
}

// wants reports whether the query asks for a fixed property.
func (q *SessionQuery) wants(key string) bool {
	return slices.Contains(q.Properties, key) || slices.Contains(q.Properties, AllFixedProperties)
}

func (q *SessionQuery) result(response *service.SessionQueryResult) (SessionResult, error) {
	result := SessionResult{Sessions: make([]FetchedSession, len(response.Sessions)), Total: int(response.Total)}
	for i, r := range response.Sessions {
		f := &result.Sessions[i]
		if id, ok := r.Properties[sessionIDProperty]; ok {
			var err error
			if f.SessionID, err = ParseSessionID(id); err != nil {
				return SessionResult{}, err
			}
		}
		if f.Properties = maps.Clone(r.Properties); !q.wants(sessionIDProperty) {
			delete(f.Properties, sessionIDProperty)
		}
		if r.StartTime == nil {
			continue
		}
		f.Started = time.UnixMilli(*r.StartTime)
		if q.wants(startTimeProperty) && f.Properties != nil {
			f.Properties[startTimeProperty] = strconv.FormatInt(*r.StartTime, 10)
		}
	}
	return result, nil
}

// sessionPage is how many sessions FetchAll asks for at a time.
const sessionPage = 1000

// FetchAll yields all sessions that a query asks for, those that started first at
// first, with as many requests as that takes. First is the number of sessions in
// each request, by default 1000; Last must not be set. Sessions that open or close
// meanwhile may be among the results or not.
//
// An error is the last thing that the loop gets. Errors are those of [Clients.Fetch].
func (c *Clients) FetchAll(ctx context.Context, query SessionQuery) iter.Seq2[FetchedSession, error] {
	return func(yield func(FetchedSession, error) bool) {
		if query.Last != 0 {
			yield(FetchedSession{}, errors.New("fetch sessions: Last is set, but all are fetched from the first on"))
			return
		}
		page := query
		if page.First == 0 {
			page.First = sessionPage
		}
		seen := make(map[SessionID]bool) // of those that started at page.From
		for {
			result, err := c.Fetch(ctx, page)
			if err != nil {
				yield(FetchedSession{}, err)
				return
			}
			fresh := false
			for _, f := range result.Sessions {
				if seen[f.SessionID] {
					continue
				}
				if !f.Started.Equal(page.From) {
					clear(seen)
					page.From = f.Started
				}
				fresh, seen[f.SessionID] = true, true
				if !yield(f, nil) {
					return
				}
			}
			switch {
			case !result.More():
				return
			case fresh:
			case len(result.Sessions) < page.First:
				yield(FetchedSession{}, errors.New("fetch sessions: a session does not fit into the maximum result size"))
				return
			default: // all of the page started at once
				page.First = min(2*page.First, math.MaxInt32)
			}
		}
	}
}

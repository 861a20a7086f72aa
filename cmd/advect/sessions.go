package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"advect.dev"
)

type sessionsCmd struct {
	List  sessionsListCmd  `cmd:"" default:"withargs" help:"List sessions, or watch them come and go. This is what sessions does without a command."`
	Close sessionsCloseCmd `cmd:"" help:"Close sessions."`
	Set   sessionsSetCmd   `cmd:"" help:"Set and remove session properties."`
	Roles sessionsRolesCmd `cmd:"" help:"Give roles to sessions, and take them."`
}

func (*sessionsCmd) Help() string { return sessionsHelp }

// sessionsArg names sessions: one by its id, or those of a filter.
type sessionsArg struct {
	Sessions string `arg:"" help:"Id of a session, or a session filter; all stands for all of them."`
}

// change changes one session or those of a filter, and prints how many they were.
func (a *sessionsArg) change(std *streams, verb string, one func(advect.SessionID) error, filter func(string) (int, error)) error {
	n := 1
	id, err := advect.ParseSessionID(a.Sessions)
	if err == nil {
		err = one(id)
	} else {
		n, err = filter(a.Sessions)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%d %s\n", n, verb)
	return err
}

type sessionsListCmd struct {
	Filter     string     `arg:"" optional:"" default:"all" help:"Session filter."`
	Properties []string   `short:"p" placeholder:"KEY" help:"Session properties to show: keys, *F for all fixed ones, *U for all others."`
	Watch      bool       `short:"w" help:"Go on with what happens to sessions, until Ctrl-C."`
	Count      int        `placeholder:"N" help:"End after N lines; 0 shows all."`
	JSON       bool       `name:"json" help:"One JSON object for each session, or event."`
	Server     connection `embed:""`
}

func (*sessionsListCmd) Help() string { return sessionsHelp }

// Run lists or watches sessions.
func (c *sessionsListCmd) Run(std *streams) error {
	err := c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		if c.Watch {
			return c.watch(ctx, std.out, session)
		}
		return c.list(ctx, std.out, session)
	})
	if c.Watch && errors.Is(err, errInterrupted) {
		return nil // the usual way to end it
	}
	return err
}

// keys are the properties to ask for; the principal is always shown.
func (c *sessionsListCmd) keys() []string { return append([]string{"$Principal"}, c.Properties...) }

func (c *sessionsListCmd) list(ctx context.Context, w io.Writer, session *advect.Session) error {
	shown := 0
	query := advect.SessionQuery{Filter: c.Filter, Properties: c.keys(), First: pageSize}
	for s, err := range session.Clients().FetchAll(ctx, query) {
		if err != nil {
			return err
		}
		if c.JSON {
			started := s.Started.UTC()
			err = printLine(w, sessionLine{Session: s.SessionID.String(), Started: &started, Properties: s.Properties})
		} else {
			colour := paletteFor(w)
			_, err = fmt.Fprintf(w, "%s  %s  %s\n", colour.name(s.SessionID.String()),
				colour.dim(s.Started.Local().Format("2006-01-02 15:04:05")), propertiesText(s.Properties))
		}
		if err != nil {
			return err
		}
		if shown++; shown == c.Count {
			return nil
		}
	}
	return nil
}

func (c *sessionsListCmd) watch(ctx context.Context, w io.Writer, session *advect.Session) error {
	shown := 0
	query := advect.SessionEventQuery{Filter: c.Filter, Properties: c.keys()}
	for event, err := range advect.SessionEvents(ctx, session, query) {
		if err != nil {
			return err
		}
		if err := c.print(w, time.Now(), &event); err != nil {
			return err
		}
		if shown++; shown == c.Count {
			return nil
		}
	}
	return nil
}

func (c *sessionsListCmd) print(w io.Writer, now time.Time, e *advect.SessionEvent) error {
	reason := ""
	if e.Kind == advect.SessionClosed {
		reason = e.Reason.String()
	}
	if c.JSON {
		now = now.UTC()
		return printLine(w, sessionLine{
			Time: &now, Event: e.Kind.String(), Session: e.SessionID.String(), Properties: e.Properties, Old: e.Changes.Old, Reason: reason,
		})
	}
	what := propertiesText(e.Properties)
	if len(e.Changes.Old) > 0 {
		what += "  (was " + propertiesText(e.Changes.Old) + ")"
	}
	if reason != "" {
		what = strings.ToLower(reason)
	}
	colour := paletteFor(w)
	_, err := fmt.Fprintf(w, "%s  %-12s  %s  %s\n", colour.dim(clock(now)), e.Kind, colour.name(e.SessionID.String()), what)
	return err
}

// propertiesText shows the principal without its key, and the others with theirs.
func propertiesText(properties map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if key == "$Principal" {
			parts = slices.Insert(parts, 0, cmp.Or(oneLine(properties[key]), "(anonymous)"))
			continue
		}
		parts = append(parts, oneLine(key+"="+properties[key]))
	}
	return strings.Join(parts, "  ")
}

// sessionLine is a session, or what happened to one, in JSON lines.
type sessionLine struct {
	Time       *time.Time        `json:"time,omitempty"`
	Event      string            `json:"event,omitempty"`
	Session    string            `json:"session"`
	Started    *time.Time        `json:"started,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
	Old        map[string]string `json:"old,omitempty"`
	Reason     string            `json:"reason,omitempty"`
}

type sessionsCloseCmd struct {
	sessionsArg `embed:""`
	Server      connection `embed:""`
}

// Run closes sessions.
func (c *sessionsCloseCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		return c.change(std, "closed",
			func(id advect.SessionID) error { return session.Clients().Close(ctx, id) },
			func(filter string) (int, error) { return session.Clients().CloseByFilter(ctx, filter) })
	})
}

type sessionsSetCmd struct {
	sessionsArg `embed:""`
	Properties  []string   `arg:"" optional:"" name:"property" help:"Session properties, as KEY=VALUE."`
	Remove      []string   `placeholder:"KEY" help:"Session properties to remove."`
	Server      connection `embed:""`
}

// Run sets session properties.
func (c *sessionsSetCmd) Run(std *streams) error {
	set := make(map[string]string)
	for _, p := range c.Properties {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return &usageError{fmt.Errorf("%q is not KEY=VALUE", p)}
		}
		set[key] = value
	}
	if len(set)+len(c.Remove) == 0 {
		return &usageError{errors.New("nothing to set or to remove. Try: KEY=VALUE, or --remove KEY")}
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		return c.change(std, "changed",
			func(id advect.SessionID) error {
				_, err := session.Clients().SetProperties(ctx, id, set, c.Remove...)
				return err
			},
			func(filter string) (int, error) {
				return session.Clients().SetPropertiesByFilter(ctx, filter, set, c.Remove...)
			})
	})
}

type sessionsRolesCmd struct {
	sessionsArg `embed:""`
	Add         []string   `placeholder:"ROLE" help:"Roles to give."`
	Remove      []string   `placeholder:"ROLE" help:"Roles to take."`
	Server      connection `embed:""`
}

// Run changes roles.
func (c *sessionsRolesCmd) Run(std *streams) error {
	if len(c.Add)+len(c.Remove) == 0 {
		return &usageError{errors.New("no roles. Try: --add ROLE, or --remove ROLE")}
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		return c.change(std, "changed",
			func(id advect.SessionID) error { return session.Clients().ChangeRoles(ctx, id, c.Remove, c.Add) },
			func(filter string) (int, error) {
				return session.Clients().ChangeRolesByFilter(ctx, filter, c.Remove, c.Add)
			})
	})
}

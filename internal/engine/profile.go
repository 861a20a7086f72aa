package engine

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"advect.dev/internal/filter"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// fixedProperties are those that the server assigns, without $Roles.
var fixedProperties = []string{
	"$ClientIP", "$ClientType", "$Connector", "$Country", "$Environment", expiryProperty, "$Language", "$Latitude", "$Longitude",
	principalProperty, "$ServerName", sessionIDProperty, startTimeProperty, "$Transport",
}

const (
	principalProperty = "$Principal"
	rolesProperty     = "$Roles" // as a text
	sessionIDProperty = "$SessionId"
	startTimeProperty = "$StartTime"
	expiryProperty    = "$ExpiryTime" // milliseconds since 1970; only sessions that expire have it
)

// fixed reports whether a key is one of the server's.
func fixed(key string) bool { return strings.HasPrefix(key, "$") }

// A profile is what the properties of a session are at a moment. It implements
// [filter.Properties].
type profile struct {
	session  *Session
	identity *identity
	route    *route
}

// now returns the profile of the session. It takes no lock.
func (s *Session) now() profile { return profile{s, s.identity.Load(), s.route.Load()} }

// Property implements [filter.Properties]: it returns a property of the session,
// fixed or of the user (31 section 2).
func (s *Session) Property(key string) (value string, ok bool) {
	p := s.now()
	return p.Property(key)
}

// Property returns a property, fixed or of the user.
func (p *profile) Property(key string) (value string, ok bool) {
	switch key {
	case "$ClientIP":
		return p.session.addr.String(), true
	case "$ClientType":
		return clientType(p.session.software.Value().clientType), true
	case "$Connector":
		return p.route.connector, true
	case "$Country", "$Language":
		return p.identity.location[key], true
	case "$Environment":
		return cmp.Or(p.session.software.Value().environment, "UNKNOWN"), true
	case expiryProperty:
		return strconv.FormatInt(p.identity.expires.UnixMilli(), 10), !p.identity.expires.IsZero()
	case "$Latitude", "$Longitude":
		return cmp.Or(p.identity.location[key], "NaN"), true
	case principalProperty:
		return p.identity.principal, true
	case rolesProperty:
		return rolesText(p.identity.roles), true
	case "$ServerName":
		return p.session.engine.cfg.ServerName, true
	case sessionIDProperty:
		return p.session.id.String(), true
	case startTimeProperty:
		return strconv.FormatInt(p.session.started, 10), true
	case "$Transport":
		return string(p.route.transport), true
	}
	value, ok = p.identity.properties[key]
	return value, ok
}

// rolesText returns the text form of roles.
func rolesText(roles []string) string {
	quoted := make([]string, len(roles))
	for i, role := range roles {
		quoted[i] = `"` + filter.Escape(role) + `"`
	}
	return strings.Join(quoted, ",")
}

// clientType maps a connection type code to the value of $ClientType
// (01 section 3).
func clientType(code string) string {
	switch strings.TrimPrefix(code, "W") {
	case "B":
		return "JAVASCRIPT_BROWSER"
	case "J":
		return "JAVA"
	case "N":
		return "DOTNET"
	}
	return "OTHER"
}

// A keySet says which properties of sessions somebody wants.
type keySet struct {
	fixed, user bool     // all of these
	named       []string // and these, each once
}

// maxKeys bounds a keySet, which may have to be looked up in every session.
const maxKeys = 1000

// newKeySet reads keys as requests have them, some of which stand for others. It
// fails with INVALID_DATA if there are too many.
func newKeySet(keys []string) (keySet, error) {
	k := keySet{
		fixed: slices.Contains(keys, service.AllFixedProperties),
		user:  slices.Contains(keys, service.AllUserProperties),
	}
	for _, key := range keys {
		covered := k.fixed && fixed(key) || k.user && !fixed(key)
		if !covered && key != service.AllFixedProperties && key != service.AllUserProperties {
			k.named = append(k.named, key)
		}
	}
	slices.Sort(k.named)
	k.named = slices.Clip(slices.Compact(k.named))
	if len(k.named) > maxKeys {
		return k, wire.Errorf(wire.CodeInvalidData, "more than %d keys of session properties: ask for %q or %q",
			maxKeys, service.AllFixedProperties, service.AllUserProperties)
	}
	return k, nil
}

func (k *keySet) empty() bool { return !k.fixed && !k.user && len(k.named) == 0 }

// of returns the properties that are wanted, of those that there are.
func (k *keySet) of(p *profile) map[string]string {
	size := len(k.named)
	if k.fixed {
		size += len(fixedProperties) + 1
	}
	if k.user {
		size += len(p.identity.properties)
	}
	m := make(map[string]string, size)
	put := func(key string) {
		if value, ok := p.Property(key); ok {
			m[key] = value
		}
	}
	if k.fixed {
		for _, key := range fixedProperties {
			put(key)
		}
		put(rolesProperty)
	}
	for _, key := range k.named {
		put(key)
	}
	if k.user {
		maps.Copy(m, p.identity.properties)
	}
	return m
}

// changes compares what is wanted of two profiles: it lists every property that
// one of them has, in an order that depends on the keys only, and reports whether
// any of them differ.
func (k *keySet) changes(before, after *profile) (list []service.PropertyChange, differ bool) {
	compare := func(key string) {
		old, was := before.Property(key)
		value, is := after.Property(key)
		c := service.PropertyChange{Key: key, Old: old, New: value}
		switch {
		case !was && !is:
			return
		case !was:
			c.Kind = service.PropertyNew
		case !is:
			c.Kind = service.PropertyRemoved
		case old != value:
			c.Kind = service.PropertyChanged
		default:
			c.Kind, c.Old = service.PropertySame, ""
		}
		differ = differ || c.Kind != service.PropertySame
		list = append(list, c)
	}
	if k.fixed {
		for _, key := range fixedProperties {
			compare(key)
		}
		compare(rolesProperty)
	}
	for _, key := range k.named {
		compare(key)
	}
	if k.user {
		keys := slices.Collect(maps.Keys(before.identity.properties))
		for key := range after.identity.properties {
			if _, both := before.identity.properties[key]; !both {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			compare(key)
		}
	}
	return list, differ
}

// properties returns the fixed properties of the session, without $Roles.
func (s *Session) properties() map[string]string {
	p := s.now()
	m := make(map[string]string, len(fixedProperties)+1)
	for _, key := range fixedProperties {
		if value, ok := p.Property(key); ok {
			m[key] = value
		}
	}
	return m
}

// allProperties returns every property of the session.
func (s *Session) allProperties() map[string]string {
	p := s.now()
	return everyProperty.of(&p)
}

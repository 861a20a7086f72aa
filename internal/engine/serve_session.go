package engine

import (
	"cmp"
	"maps"
	"strconv"
	"strings"

	"advect.dev/internal/filter"
	"advect.dev/internal/service"
)

// fixedProperties are those that the server assigns, without $Roles.
var fixedProperties = []string{
	"$ClientIP", "$ClientType", "$Connector", "$Country", "$Environment", expiryProperty, "$Language", "$Latitude", "$Longitude",
	principalProperty, "$ServerName", "$SessionId", "$StartTime", "$Transport",
}

// The fixed properties that an authenticator may set, besides those that say where
// a client is.
const (
	rolesProperty     = "$Roles" // as a text
	principalProperty = "$Principal"
	expiryProperty    = "$ExpiryTime" // milliseconds since 1970; only sessions that expire have it
)

// Property implements [filter.Properties]: it returns a property of the session,
// fixed or of the user (31 section 2).
func (s *Session) Property(key string) (value string, ok bool) {
	switch key {
	case "$ClientIP":
		return s.peerNow().Addr.String(), true
	case "$ClientType":
		return clientType(s.clientType), true
	case "$Connector":
		return s.peerNow().Connector, true
	case "$Country", "$Language":
		return s.identity.Load().location[key], true
	case "$Environment":
		return cmp.Or(s.environment, "UNKNOWN"), true
	case expiryProperty:
		at := s.identity.Load().expires
		return strconv.FormatInt(at.UnixMilli(), 10), !at.IsZero()
	case "$Latitude", "$Longitude":
		return cmp.Or(s.identity.Load().location[key], "NaN"), true
	case principalProperty:
		return s.identity.Load().principal, true
	case rolesProperty:
		return rolesText(s.identity.Load().roles), true
	case "$ServerName":
		return s.engine.cfg.ServerName, true
	case "$SessionId":
		return s.id.String(), true
	case "$StartTime":
		return strconv.FormatInt(s.started.UnixMilli(), 10), true
	case "$Transport":
		return string(s.peerNow().Transport), true
	}
	value, ok = s.identity.Load().properties[key]
	return value, ok
}

func (s *Session) peerNow() Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

// rolesText returns the text form of roles.
func rolesText(roles []string) string {
	quoted := make([]string, len(roles))
	for i, role := range roles {
		quoted[i] = `"` + filter.Escape(role) + `"`
	}
	return strings.Join(quoted, ",")
}

// properties returns the fixed properties of the session, without $Roles.
func (s *Session) properties() map[string]string {
	p := make(map[string]string, len(fixedProperties)+1)
	for _, key := range fixedProperties {
		if value, ok := s.Property(key); ok {
			p[key] = value
		}
	}
	return p
}

// allProperties returns every property of the session.
func (s *Session) allProperties() map[string]string {
	p := s.properties()
	p[rolesProperty], _ = s.Property(rolesProperty)
	maps.Copy(p, s.identity.Load().properties)
	return p
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

func (s *Session) ownProperties(service.Empty) (service.OptionalProperties, error) {
	return service.OptionalProperties{Present: true, Properties: s.properties()}, nil
}

func (s *Session) globalPermissions(service.Empty) (service.Permissions, error) {
	var codes service.Permissions
	for _, p := range s.identity.Load().grant.GlobalPermissions().List() {
		codes = append(codes, byte(p))
	}
	return codes, nil
}

func (s *Session) pathPermissions(path service.Text) (service.Permissions, error) {
	var codes service.Permissions
	for _, p := range s.identity.Load().grant.PathPermissions(string(path)).List() {
		codes = append(codes, byte(p))
	}
	return codes, nil
}

// closeClient ends another session, or the caller's own.
func (s *Session) closeClient(r service.SessionRequest) (res service.Empty, err error) {
	target := s.engine.session(r.Session)
	if target == nil {
		return res, noSuchSession(r.Session)
	}
	target.Close(ClosedByController)
	return res, nil
}

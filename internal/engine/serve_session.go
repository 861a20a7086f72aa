package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"

	"advect.dev/internal/filter"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// fixedProperties are those that the server assigns, without $Roles.
var fixedProperties = []string{
	"$ClientIP", "$ClientType", "$Connector", "$Country", "$Environment", "$Language", "$Latitude", "$Longitude",
	"$Principal", "$ServerName", "$SessionId", "$StartTime", "$Transport",
}

// rolesProperty has the roles of a session as a text.
const rolesProperty = "$Roles"

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
		return "", true
	case "$Environment":
		return cmp.Or(s.environment, "UNKNOWN"), true
	case "$Latitude", "$Longitude":
		return "NaN", true
	case "$Principal":
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
		p[key], _ = s.Property(key)
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

// reAuthenticate goes on under another principal, or as before if its
// credentials are not accepted (32 section 3).
func (s *Session) reAuthenticate(r service.ReAuthenticateRequest) (service.Bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.engine.cfg.HandshakeTimeout)
	defer cancel()
	id, err := s.engine.authenticate(ctx, s.id, r.Principal, r.Credentials, r.Properties)
	if err != nil {
		var rejection *wire.Rejection
		if errors.As(err, &rejection) {
			return false, nil
		}
		return false, err
	}
	s.identity.Store(id)
	s.engine.tree.Reauthorize(s.client)
	return true, nil
}

func (s *Session) changePrincipal(r service.PrincipalRequest) (service.Bool, error) {
	return s.reAuthenticate(service.ReAuthenticateRequest{PrincipalRequest: r})
}

// closeClient ends another session, or the caller's own.
func (s *Session) closeClient(r service.SessionRequest) (res service.Empty, err error) {
	target := s.engine.session(r.Session)
	if target == nil {
		return res, wire.Errorf(wire.CodeNoSuchSession, "no session %s", r.Session)
	}
	target.Close(ClosedByController)
	return res, nil
}

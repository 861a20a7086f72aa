package engine

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// properties returns the fixed properties of the session, without $Roles
// (31 section 2).
func (s *Session) properties() map[string]string {
	s.mu.Lock()
	peer := s.peer
	s.mu.Unlock()
	p := map[string]string{
		"$ClientIP":    peer.Addr.String(),
		"$ClientType":  clientType(s.clientType),
		"$Connector":   peer.Connector,
		"$Country":     "",
		"$Environment": "UNKNOWN",
		"$Language":    "",
		"$Latitude":    "NaN",
		"$Longitude":   "NaN",
		"$Principal":   s.identity.Load().principal,
		"$ServerName":  s.engine.cfg.ServerName,
		"$SessionId":   s.id.String(),
		"$StartTime":   strconv.FormatInt(s.started.UnixMilli(), 10),
		"$Transport":   string(peer.Transport),
	}
	if s.environment != "" {
		p["$Environment"] = s.environment
	}
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

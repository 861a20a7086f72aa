package engine

import (
	"advect.dev/internal/service"
)

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

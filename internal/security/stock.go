package security

import "sync"

// The roles of the stock policy.
const (
	RoleClient                = "CLIENT"
	RoleTopicControl          = "TOPIC_CONTROL"
	RoleClientControl         = "CLIENT_CONTROL"
	RoleAuthenticationHandler = "AUTHENTICATION_HANDLER"
	RoleOperator              = "OPERATOR"
	RoleAdministrator         = "ADMINISTRATOR"
	RoleJMXAdministrator      = "JMX_ADMINISTRATOR" // deprecated alias of ADMINISTRATOR
)

// StockPassword is the password of every stock principal. It is public
// knowledge: a server must not listen beyond loopback while it is in force.
const StockPassword = "password"

// reservedBranch is the branch of the server's own topics. Roles that may not
// see it have an explicitly empty assignment there; without one the default
// path permissions would apply.
const reservedBranch = "Diffusion"

// StockModel returns the role definitions of a new server. The caller owns
// the result.
func StockModel() Model {
	none := func() map[string]PathSet { return map[string]PathSet{reservedBranch: 0} }
	administrator := func(name string) Role {
		return Role{
			Name:   name,
			Global: Globals(ViewServer, ControlServer, ViewSecurity, ModifySecurity),
			Paths: map[string]PathSet{
				reservedBranch: Paths(SelectTopic, ReadTopic, SendToMessageHandler, UpdateTopic, ModifyTopic),
			},
			Includes: []string{RoleClientControl, RoleTopicControl, RoleOperator},
		}
	}
	return Model{Roles: []Role{
		{
			Name:        RoleClient,
			DefaultPath: Paths(SelectTopic, ReadTopic, SendToMessageHandler),
			Paths:       none(),
		},
		{
			Name:        RoleTopicControl,
			Global:      Globals(ReadTopicViews, ModifyTopicViews),
			DefaultPath: Paths(UpdateTopic, ModifyTopic, AcquireLock, ExposeBranch, EditTimeSeriesEvents),
			Paths:       none(),
			Includes:    []string{RoleClient},
		},
		{
			Name:        RoleClientControl,
			Global:      Globals(ViewSession, ModifySession, RegisterHandler),
			DefaultPath: Paths(SendToSession, AcquireLock),
			Paths:       none(),
			Includes:    []string{RoleClient},
		},
		{
			Name:     RoleAuthenticationHandler,
			Global:   Globals(Authenticate, RegisterHandler),
			Paths:    none(),
			Includes: []string{RoleClient},
		},
		{
			Name:     RoleOperator,
			Global:   Globals(ViewServer, ViewSession),
			Paths:    map[string]PathSet{reservedBranch: Paths(SelectTopic, ReadTopic, SendToMessageHandler)},
			Includes: []string{RoleClient},
		},
		administrator(RoleAdministrator),
		administrator(RoleJMXAdministrator),
	}}
}

// StockPolicy returns the policy of a new server. All callers share it.
var StockPolicy = sync.OnceValue(func() *Policy {
	p, err := NewPolicy(StockModel())
	if err != nil {
		panic("security: stock policy: " + err.Error())
	}
	return p
})

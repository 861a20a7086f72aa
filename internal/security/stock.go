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

// stockPolicyScript is the content of a new security store. Roles that may
// not see the branch of the server's own topics have an explicitly empty
// assignment there; without one their default path permissions would apply.
const stockPolicyScript = `set roles for anonymous sessions []
set roles for named sessions []

set "CLIENT" default path permissions [READ_TOPIC SEND_TO_MESSAGE_HANDLER SELECT_TOPIC]
set "CLIENT" path "Diffusion" permissions []

set "TOPIC_CONTROL" permissions [READ_TOPIC_VIEWS MODIFY_TOPIC_VIEWS]
set "TOPIC_CONTROL" default path permissions [UPDATE_TOPIC MODIFY_TOPIC EDIT_TIME_SERIES_EVENTS ACQUIRE_LOCK EXPOSE_BRANCH]
set "TOPIC_CONTROL" path "Diffusion" permissions []
set "TOPIC_CONTROL" includes ["CLIENT"]

set "CLIENT_CONTROL" permissions [VIEW_SESSION MODIFY_SESSION REGISTER_HANDLER]
set "CLIENT_CONTROL" default path permissions [SEND_TO_SESSION ACQUIRE_LOCK]
set "CLIENT_CONTROL" path "Diffusion" permissions []
set "CLIENT_CONTROL" includes ["CLIENT"]

set "AUTHENTICATION_HANDLER" permissions [AUTHENTICATE REGISTER_HANDLER]
set "AUTHENTICATION_HANDLER" path "Diffusion" permissions []
set "AUTHENTICATION_HANDLER" includes ["CLIENT"]

set "OPERATOR" permissions [VIEW_SESSION VIEW_SERVER]
set "OPERATOR" path "Diffusion" permissions [READ_TOPIC SEND_TO_MESSAGE_HANDLER SELECT_TOPIC]
set "OPERATOR" includes ["CLIENT"]

set "ADMINISTRATOR" permissions [VIEW_SERVER CONTROL_SERVER VIEW_SECURITY MODIFY_SECURITY]
set "ADMINISTRATOR" path "Diffusion" permissions [READ_TOPIC UPDATE_TOPIC MODIFY_TOPIC SEND_TO_MESSAGE_HANDLER SELECT_TOPIC]
set "ADMINISTRATOR" includes ["CLIENT_CONTROL" "TOPIC_CONTROL" "OPERATOR"]

set "JMX_ADMINISTRATOR" permissions [VIEW_SERVER CONTROL_SERVER VIEW_SECURITY MODIFY_SECURITY]
set "JMX_ADMINISTRATOR" path "Diffusion" permissions [READ_TOPIC UPDATE_TOPIC MODIFY_TOPIC SEND_TO_MESSAGE_HANDLER SELECT_TOPIC]
set "JMX_ADMINISTRATOR" includes ["CLIENT_CONTROL" "TOPIC_CONTROL" "OPERATOR"]
`

// StockModel returns the role definitions of a new server. The caller owns
// the result.
func StockModel() Model {
	statements, err := parsePolicyScript(stockPolicyScript)
	if err != nil {
		panic("security: stock policy: " + err.Error())
	}
	e := newPolicyEdit(&Model{}, owner)
	if err := e.run(statements); err != nil {
		panic("security: stock policy: " + err.Error())
	}
	return e.model
}

// StockPolicy returns the policy of a new server. All callers share it.
var StockPolicy = sync.OnceValue(func() *Policy {
	p, err := NewPolicy(StockModel())
	if err != nil {
		panic("security: stock policy: " + err.Error())
	}
	return p
})

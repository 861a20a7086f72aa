package advect

import (
	"context"
	"errors"
	"fmt"

	"advect.dev/internal/client"
	"advect.dev/internal/wire"
)

// A CloseCode says why a session closed or could not be opened. The numbers are
// those of the platform's SDKs.
type CloseCode int

// The close codes.
const (
	CodeClosedByClient    CloseCode = 0
	CodeClosedByServer    CloseCode = 1
	CodeReconnectAborted  CloseCode = 2
	CodeConnectionTimeout CloseCode = 3
	CodeHandshakeRejected CloseCode = 4
	CodeHandshakeError    CloseCode = 5
	CodeTransportError    CloseCode = 6
	CodeConnectionError   CloseCode = 7
	CodeIdleConnection    CloseCode = 8
	CodeLostMessages      CloseCode = 16
	CodeVersionMismatch   CloseCode = 17
	CodeLicenceExceeded   CloseCode = 18
	CodeAccessDenied      CloseCode = 99
)

var closeCodes = map[CloseCode]struct{ name, text string }{
	CodeClosedByClient:    {"CLOSED_BY_CLIENT", "closed by the client"},
	CodeClosedByServer:    {"CLOSED_BY_SERVER", "closed by the server"},
	CodeReconnectAborted:  {"RECONNECT_ABORTED", "reconnection given up by the strategy"},
	CodeConnectionTimeout: {"CONNECTION_TIMEOUT", "no connection in time"},
	CodeHandshakeRejected: {"HANDSHAKE_REJECTED", "connection rejected"},
	CodeHandshakeError:    {"HANDSHAKE_ERROR", "the server's answer makes no sense"},
	CodeTransportError:    {"TRANSPORT_ERROR", "connection lost"},
	CodeConnectionError:   {"CONNECTION_ERROR", "cannot connect"},
	CodeIdleConnection:    {"IDLE_CONNECTION", "no ping from the server for two periods"},
	CodeLostMessages:      {"LOST_MESSAGES", "the server asks for messages that are no longer held"},
	CodeVersionMismatch:   {"PROTOCOL_VERSION_MISMATCH", "the server speaks another protocol version"},
	CodeLicenceExceeded:   {"LICENSE_EXCEEDED", "the server has as many sessions as it may have"},
	CodeAccessDenied:      {"ACCESS_DENIED", "the principal or its credentials were refused"},
}

// String returns the platform's name of the code, such as "ACCESS_DENIED".
func (c CloseCode) String() string {
	if e, ok := closeCodes[c]; ok {
		return e.name
	}
	return fmt.Sprintf("CLOSE_CODE_%d", int(c))
}

// A CloseReason is the error of a session that closed or could not be opened.
// It matches, with errors.Is, the sentinel of its code and one of
// [ErrTransient] and [ErrPermanent]; it unwraps to its cause, in which
// errors.As finds for example a *net.OpError, a *tls.CertificateVerificationError
// or a [*Rejection].
type CloseReason struct {
	Code CloseCode
	Err  error // the cause; may be nil
}

// Error describes the reason and its cause.
func (r *CloseReason) Error() string {
	text := closeCodes[r.Code].text
	if text == "" {
		text = r.Code.String()
	}
	if r.Err == nil {
		return text
	}
	return text + ": " + r.Err.Error()
}

// Unwrap returns the cause.
func (r *CloseReason) Unwrap() error { return r.Err }

// Is makes errors.Is match the sentinel of the code, and the class.
func (r *CloseReason) Is(target error) bool {
	switch target {
	case ErrTransient:
		return r.Transient()
	case ErrPermanent:
		return r.permanent()
	}
	t, ok := target.(*CloseReason)
	return ok && t.Err == nil && t.Code == r.Code
}

// Transient reports whether opening a session with the same options may succeed
// at another time. It is false also when a session ended because someone wanted
// that, which no error class covers.
func (r *CloseReason) Transient() bool {
	switch r.Code {
	case CodeConnectionTimeout, CodeTransportError, CodeConnectionError, CodeIdleConnection, CodeLostMessages:
		return true
	case CodeHandshakeRejected:
		return !r.permanent()
	}
	return false
}

func (r *CloseReason) permanent() bool {
	switch r.Code {
	case CodeHandshakeError, CodeVersionMismatch, CodeLicenceExceeded, CodeAccessDenied:
		return true
	case CodeHandshakeRejected:
		var refused *Rejection
		return !errors.As(r.Err, &refused) || refused.Code == wire.ConnectionProtocol
	}
	return false
}

// A Rejection is the refusal of a connection by the server, found with errors.As.
type Rejection = wire.Rejection

// Classes of close reasons, matched with errors.Is.
var (
	// ErrTransient is matched when opening a session with the same options may
	// succeed at another time.
	ErrTransient = errors.New("transient failure")
	// ErrPermanent is matched when it will not.
	ErrPermanent = errors.New("permanent failure")
)

// Close reasons by code, matched with errors.Is.
var (
	ErrClosedByClient    error = &CloseReason{Code: CodeClosedByClient}
	ErrClosedByServer    error = &CloseReason{Code: CodeClosedByServer}
	ErrReconnectAborted  error = &CloseReason{Code: CodeReconnectAborted}
	ErrConnectionTimeout error = &CloseReason{Code: CodeConnectionTimeout}
	ErrHandshakeRejected error = &CloseReason{Code: CodeHandshakeRejected}
	ErrHandshake         error = &CloseReason{Code: CodeHandshakeError}
	ErrTransport         error = &CloseReason{Code: CodeTransportError}
	ErrConnection        error = &CloseReason{Code: CodeConnectionError}
	ErrIdle              error = &CloseReason{Code: CodeIdleConnection}
	ErrLostMessages      error = &CloseReason{Code: CodeLostMessages}
	ErrVersionMismatch   error = &CloseReason{Code: CodeVersionMismatch}
	ErrLicenceExceeded   error = &CloseReason{Code: CodeLicenceExceeded}
	ErrAccessDenied      error = &CloseReason{Code: CodeAccessDenied}
)

// Errors of calls that did not get an answer.
var (
	// ErrNotConnected is matched by a call made while the session was not
	// connected. It had no effect.
	ErrNotConnected = errors.New("session is not connected")
	// ErrMessageLoss is matched by a call that was under way when the session
	// reconnected with loss of messages. It may have had its effect.
	ErrMessageLoss = errors.New("session reconnected with message loss before the answer came")
	// ErrMessageTooLarge is matched by a call whose request is larger than the
	// server accepts. It had no effect.
	ErrMessageTooLarge = errors.New("message larger than the server accepts")
)

// A ServiceError is the answer of a server that refuses a request. Description
// is the server's text. The sentinels below match it by code.
type ServiceError = wire.ServiceError

// An ErrorCode is the number of a [ServiceError].
type ErrorCode = wire.ErrorCode

// Service errors that callers may want to tell apart, matched with errors.Is.
var (
	// ErrCommunication: the server could not carry out the request.
	ErrCommunication error = serviceError(wire.CodeCommunicationFailure, "communication failure")
	// ErrSessionClosed: the server has closed the session that asks.
	ErrSessionClosed error = serviceError(wire.CodeSessionClosed, "session is closed")
	// ErrRequestTimeout: who was asked did not answer in time.
	ErrRequestTimeout error = serviceError(wire.CodeRequestTimeout, "request timed out")
	// ErrPermissionDenied: the principal lacks a permission.
	ErrPermissionDenied error = serviceError(wire.CodeAccessDenied, "permission denied")
	// ErrUnsupported: the server has no such service.
	ErrUnsupported error = serviceError(wire.CodeUnsupported, "unsupported by the server")
	// ErrCallback: the code that answers a request has failed.
	ErrCallback error = serviceError(wire.CodeCallbackException, "callback failed")
	// ErrInvalidData: a value or an argument is not valid.
	ErrInvalidData error = serviceError(wire.CodeInvalidData, "invalid data")
	// ErrNoSuchSession: the addressed session does not exist, or it has closed
	// before it answered.
	ErrNoSuchSession error = serviceError(wire.CodeNoSuchSession, "no such session")
	// ErrIncompatibleDatatype: data of another type is expected.
	ErrIncompatibleDatatype error = serviceError(wire.CodeIncompatibleDatatype, "incompatible data type")
	// ErrUnhandled: nobody answers requests at the path.
	ErrUnhandled error = serviceError(wire.CodeUnhandledMessage, "unhandled request")
	// ErrRejected: who was asked refuses the request: see [Reject].
	ErrRejected error = serviceError(wire.CodeRejectedRequest, "request rejected")
	// ErrHandlerExists: the session has a handler of the kind for the same path
	// or name.
	ErrHandlerExists error = serviceError(wire.CodeHandlerConflict, "there is a handler already")
	// ErrClusterRepartition: the cluster is handing the topic to another server.
	ErrClusterRepartition error = serviceError(wire.CodeClusterRepartition, "cluster is repartitioning")
	// ErrClusterRouting: the server of the cluster that has the topic could not
	// be reached; trying again may help.
	ErrClusterRouting error = serviceError(wire.CodeClusterRouting, "cluster routing failed")
	// ErrIncompatibleState: the topic is managed by something that forbids the operation.
	ErrIncompatibleState error = serviceError(wire.CodeIncompatibleState, "incompatible state")
	// ErrInvalidPath: a path is not valid. When adding topics it is [ErrInvalidTopicPath].
	ErrInvalidPath error = serviceError(wire.CodeInvalidPath, "invalid topic path")
	// ErrNoSuchTopic: there is no topic at the path.
	ErrNoSuchTopic error = serviceError(wire.CodeNoSuchTopic, "no such topic")
	// ErrMissingTopic is an [ErrNoSuchTopic] of older servers.
	ErrMissingTopic error = serviceError(wire.CodeMissingTopic, "missing topic")
	// ErrTopicExists: there is a topic of another specification at the path.
	ErrTopicExists error = serviceError(wire.CodeTopicExists, "topic exists")
	// ErrIncompatibleTopic: there is a topic at the path that something else
	// manages, such as a topic view.
	ErrIncompatibleTopic error = serviceError(wire.CodeIncompatibleTopic, "incompatible topic exists")
	// ErrInvalidSpecification: a topic specification is not valid.
	ErrInvalidSpecification error = serviceError(wire.CodeTopicSpecInvalid, "invalid topic specification")
	// ErrUnsatisfiedConstraint: the constraint of an update does not hold.
	ErrUnsatisfiedConstraint error = serviceError(wire.CodeUnsatisfied, "unsatisfied constraint")
	// ErrUpdateFailed: the update could not be applied.
	ErrUpdateFailed error = serviceError(wire.CodeUpdateFailed, "update failed")
	// ErrDeltaWithoutValue: a delta was sent for a topic without a value.
	ErrDeltaWithoutValue error = serviceError(wire.CodeDeltaWithoutValue, "delta without a value")
	// ErrRemoteServerExists: there is another remote server of the name.
	ErrRemoteServerExists error = serviceError(wire.CodeRemoteServerExists, "remote server exists")
	// ErrInvalidBranchMapping: a branch mapping of a session tree is not valid.
	ErrInvalidBranchMapping error = serviceError(wire.CodeInvalidMapping, "invalid branch mapping")
)

func serviceError(code ErrorCode, text string) *ServiceError {
	return &ServiceError{Code: code, Description: text}
}

// rejectionCodes gives the close code of each refusal (protocol 01 section 6.2).
var rejectionCodes = map[wire.ResponseCode]CloseCode{
	wire.Downgrade:            CodeVersionMismatch,
	wire.LicenceExceeded:      CodeLicenceExceeded,
	wire.AuthenticationFailed: CodeAccessDenied,
}

// connectFailure classifies an error of client.Connect whose context goes on.
func connectFailure(err error) *CloseReason {
	var refused *Rejection
	switch {
	case errors.As(err, &refused):
		code, ok := rejectionCodes[refused.Code]
		if !ok {
			code = CodeHandshakeRejected
		}
		return &CloseReason{code, err}
	case errors.Is(err, wire.ErrVersionMismatch):
		return &CloseReason{CodeVersionMismatch, err}
	case errors.Is(err, wire.ErrMalformed):
		return &CloseReason{CodeHandshakeError, err}
	}
	return &CloseReason{CodeConnectionError, err}
}

// connectionEnd classifies an error of an established connection. Only losses
// lead to a reconnection (protocol 02 section 8).
func connectionEnd(err error) (reason *CloseReason, loss bool) {
	switch {
	case errors.Is(err, client.ErrFraming), errors.Is(err, client.ErrTooLarge):
		return &CloseReason{CodeTransportError, err}, false
	case errors.Is(err, wire.ErrMalformed):
		return &CloseReason{CodeConnectionError, err}, false
	}
	return &CloseReason{CodeTransportError, err}, true
}

// contextEnd is the reason of an opening that ran out of time or was given up
// by its caller, which err says.
func contextEnd(caller context.Context, err error) *CloseReason {
	code := CodeConnectionTimeout
	if errors.Is(caller.Err(), context.Canceled) {
		code = CodeClosedByClient
	}
	return &CloseReason{code, err}
}

// withLast adds the last failure, if any, to the reason to stop trying.
func withLast(err, last error) error {
	if last == nil {
		return err
	}
	return fmt.Errorf("%w; the last attempt: %w", err, last)
}

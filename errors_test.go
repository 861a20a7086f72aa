package advect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"advect.dev/internal/client"
	"advect.dev/internal/wire"
)

var sentinels = map[CloseCode]error{
	CodeClosedByClient: ErrClosedByClient, CodeClosedByServer: ErrClosedByServer, CodeReconnectAborted: ErrReconnectAborted,
	CodeConnectionTimeout: ErrConnectionTimeout, CodeHandshakeRejected: ErrHandshakeRejected, CodeHandshakeError: ErrHandshake,
	CodeTransportError: ErrTransport, CodeConnectionError: ErrConnection, CodeIdleConnection: ErrIdle,
	CodeLostMessages: ErrLostMessages, CodeVersionMismatch: ErrVersionMismatch, CodeLicenceExceeded: ErrLicenceExceeded,
	CodeAccessDenied: ErrAccessDenied,
}

// Each reason matches its own sentinel, at most one class, and its cause.
func TestCloseReasons(t *testing.T) {
	classes := map[CloseCode]error{
		CodeConnectionTimeout: ErrTransient, CodeTransportError: ErrTransient, CodeConnectionError: ErrTransient,
		CodeIdleConnection: ErrTransient, CodeLostMessages: ErrTransient, CodeHandshakeRejected: ErrPermanent,
		CodeHandshakeError: ErrPermanent, CodeVersionMismatch: ErrPermanent, CodeLicenceExceeded: ErrPermanent,
		CodeAccessDenied: ErrPermanent,
	}
	for code := range closeCodes {
		reason := &CloseReason{code, io.ErrUnexpectedEOF}
		err := fmt.Errorf("open session: %w", reason)
		for other, sentinel := range sentinels {
			if errors.Is(err, sentinel) != (code == other) {
				t.Errorf("%v matches the sentinel of %v: %t", code, other, code != other)
			}
		}
		for _, class := range []error{ErrTransient, ErrPermanent} {
			if errors.Is(err, class) != (classes[code] == class) {
				t.Errorf("%v: is %v: %t", code, class, errors.Is(err, class))
			}
		}
		if reason.Transient() != (classes[code] == ErrTransient) {
			t.Errorf("%v: Transient is %t", code, reason.Transient())
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: the cause is lost", code)
		}
		if errors.Is(sentinels[code], err) {
			t.Errorf("%v: the sentinel matches a reason with a cause", code)
		}
	}
	if len(sentinels) != len(closeCodes) {
		t.Error("a code has no sentinel")
	}
	if got := CloseCode(50).String() + " " + (&CloseReason{Code: 50}).Error() + " " + CodeAccessDenied.String(); got != "CLOSE_CODE_50 CLOSE_CODE_50 ACCESS_DENIED" {
		t.Error(got)
	}
}

func TestConnectFailure(t *testing.T) {
	for _, c := range []struct {
		err         error
		want, class error
	}{
		{&wire.Rejection{Code: wire.Downgrade}, ErrVersionMismatch, ErrPermanent},
		{&wire.Rejection{Code: wire.LicenceExceeded}, ErrLicenceExceeded, ErrPermanent},
		{&wire.Rejection{Code: wire.ReconnectUnsupported}, ErrHandshakeRejected, ErrTransient},
		{&wire.Rejection{Code: wire.ConnectionProtocol}, ErrHandshakeRejected, ErrPermanent},
		{&wire.Rejection{Code: wire.AuthenticationFailed}, ErrAccessDenied, ErrPermanent},
		{&wire.Rejection{Code: wire.UnknownSession}, ErrHandshakeRejected, ErrTransient},
		{&wire.Rejection{Code: wire.ReconnectionFailedLoss}, ErrHandshakeRejected, ErrTransient},
		{&wire.Rejection{Code: wire.ServerInitialising}, ErrHandshakeRejected, ErrTransient},
		{wire.ErrVersionMismatch, ErrVersionMismatch, ErrPermanent},
		{wire.ErrMalformed, ErrHandshake, ErrPermanent},
		{&net.OpError{Op: "dial", Err: io.EOF}, ErrConnection, ErrTransient},
	} {
		got := connectFailure(fmt.Errorf("wrapped: %w", c.err))
		if !errors.Is(got, c.want) || !errors.Is(got, c.class) || !errors.Is(got, c.err) {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestConnectionEnd(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
		loss bool
	}{
		{io.ErrUnexpectedEOF, ErrTransport, true},
		{client.ErrFraming, ErrTransport, false},
		{client.ErrTooLarge, ErrTransport, false},
		{wire.ErrMalformed, ErrConnection, false},
	} {
		got, loss := connectionEnd(fmt.Errorf("wrapped: %w", c.err))
		if !errors.Is(got, c.want) || loss != c.loss {
			t.Errorf("%v: %v, loss %t", c.err, got, loss)
		}
	}
}

func TestServiceErrors(t *testing.T) {
	err := fmt.Errorf("add topic: %w", &ServiceError{Code: 103, Description: "no"})
	if !errors.Is(err, ErrPermissionDenied) || errors.Is(err, ErrNoSuchTopic) || errors.Is(err, ErrAccessDenied) {
		t.Error("103 is not ErrPermissionDenied alone")
	}
}

func TestStates(t *testing.T) {
	names := map[State]string{
		Connecting: "CONNECTING", ConnectedActive: "CONNECTED_ACTIVE", RecoveringReconnect: "RECOVERING_RECONNECT",
		ClosedByClient: "CLOSED_BY_CLIENT", ClosedByServer: "CLOSED_BY_SERVER", ClosedFailed: "CLOSED_FAILED", 9: "STATE_9",
	}
	for s, name := range names {
		if s.String() != name {
			t.Errorf("%d is %s, want %s", s, s, name)
		}
		if s.IsConnected() != (s == ConnectedActive) || s.IsRecovering() != (s == RecoveringReconnect) || s.IsClosed() != (s >= ClosedByClient) {
			t.Errorf("predicates of %s", s)
		}
	}
}

func TestContextEnd(t *testing.T) {
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	if err := contextEnd(ctx, withLast(cause, io.EOF)); !errors.Is(err, ErrClosedByClient) || !errors.Is(err, cause) || !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := contextEnd(context.Background(), io.EOF); !errors.Is(err, ErrConnectionTimeout) || !errors.Is(err, ErrTransient) {
		t.Error(err)
	}
}

// TestServiceErrorSentinels: every code of the documents has a sentinel, which no other code
// matches.
func TestServiceErrorSentinels(t *testing.T) {
	sentinels := map[ErrorCode]error{
		100: ErrCommunication, 101: ErrSessionClosed, 102: ErrRequestTimeout, 103: ErrPermissionDenied, 104: ErrUnsupported,
		105: ErrCallback, 106: ErrInvalidData, 107: ErrNoSuchSession, 108: ErrIncompatibleDatatype, 109: ErrUnhandled,
		110: ErrClusterRepartition, 111: ErrIncompatibleState, 112: ErrClusterRouting, 200: ErrHandlerConflict,
		201: ErrHandlerExists, 202: ErrInvalidPath, 500: ErrIncompatibleUpdate, 501: ErrUpdateFailed, 503: ErrMissingTopic,
		505: ErrDeltaWithoutValue, 9000: ErrNoSuchTopic, 9001: ErrNotTimeSeries, 9002: ErrNoSuchEvent, 9003: ErrRejected,
		9004: ErrTopicExists, 9005: ErrInvalidTopicPath, 9006: ErrInvalidSpecification, 9007: ErrTopicLimit,
		9010: ErrIncompatibleTopic, 9011: ErrTopicAddFailed, 9012: ErrUnsatisfiedConstraint, 9013: ErrInvalidUpdateStream,
		9014: ErrInvalidPatch, 9015: ErrPatchFailed, 9016: ErrRemoteServerExists, 9017: ErrInvalidBranchMapping,
	}
	for code := range sentinels {
		err := fmt.Errorf("call: %w", &ServiceError{Code: code, Description: "text"})
		for other, sentinel := range sentinels {
			if errors.Is(err, sentinel) != (code == other) {
				t.Errorf("%d matches the sentinel of %d: %t", code, other, code != other)
			}
		}
	}
}

package wire

import "fmt"

// ErrorCode is the number of a service error (02 section 5, 20 section 3).
type ErrorCode int32

// The error codes that servers and clients send.
const (
	CodeCommunicationFailure ErrorCode = 100
	CodeSessionClosed        ErrorCode = 101
	CodeRequestTimeout       ErrorCode = 102
	CodeAccessDenied         ErrorCode = 103
	CodeUnsupported          ErrorCode = 104
	CodeCallbackException    ErrorCode = 105
	CodeInvalidData          ErrorCode = 106
	CodeNoSuchSession        ErrorCode = 107
	CodeIncompatibleDatatype ErrorCode = 108
	CodeUnhandledMessage     ErrorCode = 109
	CodeClusterRepartition   ErrorCode = 110
	CodeIncompatibleState    ErrorCode = 111
	CodeClusterRouting       ErrorCode = 112
	CodeTreeConflict         ErrorCode = 200
	CodeHandlerConflict      ErrorCode = 201
	CodeInvalidPath          ErrorCode = 202
	CodeIncompatibleUpdate   ErrorCode = 500
	CodeUpdateFailed         ErrorCode = 501
	CodeMissingTopic         ErrorCode = 503
	CodeDeltaWithoutValue    ErrorCode = 505
	CodeNoSuchTopic          ErrorCode = 9000
	CodeNotATimeSeries       ErrorCode = 9001
	CodeNoSuchEvent          ErrorCode = 9002
	CodeRejectedRequest      ErrorCode = 9003
	CodeTopicExists          ErrorCode = 9004
	CodeTopicPathInvalid     ErrorCode = 9005
	CodeTopicSpecInvalid     ErrorCode = 9006
	CodeTopicLicenceLimit    ErrorCode = 9007
	CodeIncompatibleTopic    ErrorCode = 9010
	CodeTopicAddFailure      ErrorCode = 9011
	CodeUnsatisfied          ErrorCode = 9012
	CodeInvalidUpdateStream  ErrorCode = 9013
	CodeInvalidPatch         ErrorCode = 9014
	CodePatchFailed          ErrorCode = 9015
	CodeRemoteServerExists   ErrorCode = 9016
	CodeInvalidMapping       ErrorCode = 9017
)

// A ServiceError answers a request that failed. Applications see Description
// as it is on the wire, so it says what was wrong and what to do.
type ServiceError struct {
	Code        ErrorCode
	Description string
}

// Errorf returns a ServiceError with a formatted description.
func Errorf(code ErrorCode, format string, args ...any) *ServiceError {
	return &ServiceError{code, fmt.Sprintf(format, args...)}
}

func (e *ServiceError) Error() string { return fmt.Sprintf("%s (code %d)", e.Description, e.Code) }

// Is makes errors.Is match by code.
func (e *ServiceError) Is(target error) bool {
	t, ok := target.(*ServiceError)
	return ok && t.Code == e.Code
}

// AppendErrorReason appends an error as it stands inside payloads: code first,
// the reverse of a service error message (02 section 1.3).
func AppendErrorReason(b []byte, e ServiceError) []byte {
	return AppendString(AppendInt32(b, int32(e.Code)), e.Description)
}

// ErrorReason reads what AppendErrorReason appends.
func (r *Reader) ErrorReason() ServiceError {
	code := ErrorCode(r.Int32())
	return ServiceError{code, r.String()}
}

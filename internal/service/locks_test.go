package service

import (
	"errors"
	"testing"

	"advect.dev/internal/wire"
)

func TestUnknownLockScope(t *testing.T) {
	request := AcquireSessionLock.EncodeRequest(nil, LockRequest{Scope: 2})
	if got, err := AcquireSessionLock.ReadRequest(request); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("request of scope 2: %+v, %v, want ErrMalformed", got, err)
	}
	acquired := AcquireSessionLock.EncodeResponse(nil, Acquisition{Scope: 2})
	if got, err := ReleaseSessionLock.ReadRequest(acquired); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("acquisition of scope 2: %+v, %v, want ErrMalformed", got, err)
	}
}

// TestLeastLock: a collection of as many locks as fit is read.
func TestLeastLock(t *testing.T) {
	body := GetSessionLocks.EncodeResponse(nil, LockMap{"": {}})
	if len(body) != 1+minLock {
		t.Errorf("the least lock takes %d bytes, minLock is %d", len(body)-1, minLock)
	}
	if got, err := GetSessionLocks.ReadResponse(body); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

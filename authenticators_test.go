package advect

import (
	"context"
	"errors"
	"testing"

	"advect.dev/internal/wire"
)

func TestAuthenticatorFlow(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(44)
		defer n.closeSession(s, p)
		flows := readSessionFlows(t)
		var told journal
		var decision Authentication
		var failure error
		var h *AuthenticatorHandle
		err := do(t, func() (err error) {
			h, err = s.Security().AddAuthenticator(t.Context(), BeforeSystemAuthenticator, Authenticator{
				Authenticate: func(_ context.Context, r AuthenticationRequest) (Authentication, error) {
					told.add("%s %d %x %v %v", r.Principal, r.Credentials.Kind, r.Credentials.Data, r.Session, r.Proposed)
					return decision, failure
				},
				OnClose: func(err error) { told.add("close %v", err) },
			})
			return err
		}, func() { p.takes(t, flows["setAuthenticator"], "") })
		if err != nil {
			t.Fatal(err)
		}
		const bob, properties = "bob 1 7077", ` map[$Principal:bob $Roles:"CLIENT"] map[want:1]`
		for _, c := range []struct {
			flow     string
			decision Authentication
			failure  error
			told     string
		}{
			{"S>C 120 allow", Allow(), nil, bob},
			{"S>C 120 allowp", AllowWith(map[string]string{"dept": "x"}), nil, bob},
			{"S>C 120 deny", Deny(), nil, bob},
			{"S>C 120 abstain", Abstain(), nil, bob},
			{"S>C 120 none", Authentication{}, nil, "bob 0 "},
			{"S>C 120 custom", Deny(), nil, "bob 2 0908"},
			{"S>C 120 throws", Allow(), errors.New("boom"), bob},
		} {
			decision, failure = c.decision, c.failure
			p.answers(t, c.flow, flows[c.flow])
			told.want(t, c.told+properties)
		}
		err = do(t, func() error { return h.Close(t.Context()) }, func() { p.takes(t, flows["S>C 120 throws"][2:], "") })
		if err != nil {
			t.Error(err)
		}
		told.want(t, "close <nil>")
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		p.answers(t, "one that is no more abstains", flows["S>C 120 abstain"])
		err = do(t, func() error {
			_, err := s.Security().AddAuthenticator(t.Context(), "x", Authenticator{Authenticate: func(context.Context, AuthenticationRequest) (Authentication, error) {
				return Deny(), nil
			}})
			return err
		}, func() { p.refuse(p.receive().Conversation, wire.CodeInvalidData, "no such name") })
		if !errors.Is(err, ErrInvalidData) || len(s.handlers) != 0 {
			t.Errorf("refused: %v", err)
		}
		p.nothing()
	})
}

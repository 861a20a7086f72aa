package security

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCertificateOf(t *testing.T) {
	attribute := func(oid []int, value any) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: oid, Value: value}
	}
	commonName := []int{2, 5, 4, 3}
	for name, c := range map[string]struct {
		subject []pkix.AttributeTypeAndValue
		want    string
	}{
		"one name":      {[]pkix.AttributeTypeAndValue{attribute([]int{2, 5, 4, 10}, "us"), attribute(commonName, "bob")}, "bob"},
		"none":          {[]pkix.AttributeTypeAndValue{attribute([]int{2, 5, 4, 10}, "bob")}, ""},
		"empty":         {[]pkix.AttributeTypeAndValue{attribute(commonName, "")}, ""},
		"two":           {[]pkix.AttributeTypeAndValue{attribute(commonName, "bob"), attribute(commonName, "admin")}, ""},
		"twice":         {[]pkix.AttributeTypeAndValue{attribute(commonName, "bob"), attribute(commonName, "bob")}, ""},
		"no text":       {[]pkix.AttributeTypeAndValue{attribute(commonName, 7)}, ""},
		"text and none": {[]pkix.AttributeTypeAndValue{attribute(commonName, 7), attribute(commonName, "bob")}, ""},
		"too long":      {[]pkix.AttributeTypeAndValue{attribute(commonName, strings.Repeat("b", maxCertificateName+1))}, ""},
		"with a NUL":    {[]pkix.AttributeTypeAndValue{attribute(commonName, "admin\x00.evil")}, "admin\x00.evil"},
	} {
		if got := CertificateOf(&x509.Certificate{Subject: pkix.Name{Names: c.subject}}); got.Name != c.want {
			t.Errorf("%s: %q, want %q", name, got.Name, c.want)
		}
	}
}

func TestCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenStore("")
		if err != nil {
			t.Fatal(err)
		}
		a, until := NewCertificates(s), time.Now().Add(time.Hour)
		ask := func(r Request) Decision {
			t.Helper()
			d, err := a.Authenticate(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		own := Request{Principal: "admin", Certificate: Certificate{"admin", until}, DefaultRoles: []string{"NAMED"}}
		d := ask(own)
		if d.Outcome != Allow || !slices.Equal(d.Roles, []string{RoleAdministrator, "NAMED"}) || !d.Expiry.Equal(until) || d.Principal != "" {
			t.Errorf("%+v", d)
		}
		with := func(change func(*Request)) Request {
			r := own
			change(&r)
			return r
		}
		for name, r := range map[string]Request{
			"anonymous":        with(func(r *Request) { r.Principal = "" }),
			"nothing proved":   with(func(r *Request) { r.Principal, r.Certificate = "", Certificate{} }),
			"another":          with(func(r *Request) { r.Principal = "client" }),
			"a longer name":    with(func(r *Request) { r.Certificate.Name = "admin\x00" }),
			"a password":       with(func(r *Request) { r.Credentials = Credentials{PlainPassword, []byte("password")} }),
			"custom":           with(func(r *Request) { r.Credentials = Credentials{CustomCredentials, nil} }),
			"not in the store": with(func(r *Request) { r.Principal, r.Certificate.Name = "bob", "bob" }),
		} {
			if d := ask(r); d.Outcome != Abstain {
				t.Errorf("%s: %+v", name, d)
			}
		}
		if err := s.Update(t.Context(), "", "remove principal 'admin'"); err != nil {
			t.Fatal(err)
		}
		if d := ask(own); d.Outcome != Abstain {
			t.Errorf("no longer in the store: %+v", d)
		}
		own.Principal, own.Certificate.Name = "control", "control"
		time.Sleep(time.Hour)
		if d := ask(own); d.Outcome != Abstain {
			t.Errorf("expired: %+v", d)
		}
	})
}

package security

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func testPolicyStore(t testing.TB, dir string) *PolicyStore {
	t.Helper()
	s, err := OpenPolicyStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkStockPolicy compares a policy with the tables of the stock one.
func checkStockPolicy(t *testing.T, p *Policy) {
	t.Helper()
	for _, role := range stockRoles {
		got, want := p.Resolve([]string{role}), StockPolicy().Resolve([]string{role})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", role, got, want)
		}
	}
}

func TestStockPolicyStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	for name, s := range map[string]*PolicyStore{"memory": testPolicyStore(t, ""), "file": testPolicyStore(t, dir), "file again": testPolicyStore(t, dir)} {
		t.Run(name, func(t *testing.T) {
			checkStockPolicy(t, s.Policy())
			if got := s.Model(); !reflect.DeepEqual(got, StockModel()) {
				t.Errorf("model %+v", got)
			}
			if got := s.Policy().DefaultRoles("x"); len(got) != 0 {
				t.Errorf("named sessions have %v", got)
			}
			if name == "memory" {
				if s.Path() != "" {
					t.Errorf("path %q", s.Path())
				}
				return
			}
			if info, err := os.Stat(s.Path()); err != nil || info.Mode().Perm() != 0o600 || filepath.Base(s.Path()) != "Security.store" {
				t.Errorf("%s: mode %v, %v", s.Path(), info.Mode(), err)
			}
		})
	}
}

func TestPolicyUpdate(t *testing.T) {
	dir := t.TempDir()
	s := testPolicyStore(t, dir)
	before, changed := s.Watch()
	grant := before.Resolve([]string{"CLIENT"})

	err := s.Update("admin", `set roles for anonymous sessions ["GUEST"]
set roles for named sessions ["USER" "CLIENT"]
set "CLIENT" path "secret" permissions []
set role "CLIENT" locked by principal "admin"`)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody is told of the change")
	}
	if !grant.Path("secret/a", ReadTopic) || !before.HasPath([]string{"CLIENT"}, "secret", ReadTopic) {
		t.Error("a grant changed with the store")
	}
	for name, s := range map[string]*PolicyStore{"at once": s, "after a restart": testPolicyStore(t, dir)} {
		p, changed := s.Watch()
		if p != s.Policy() || p == before {
			t.Errorf("%s: no new policy", name)
		}
		if p.HasPath([]string{"CLIENT"}, "secret/a", ReadTopic) || !p.HasPath([]string{"CLIENT"}, "a", ReadTopic) {
			t.Errorf("%s: the assignment does not count", name)
		}
		if a, n := p.DefaultRoles(""), p.DefaultRoles("bob"); fmt.Sprint(a, n) != "[GUEST] [USER CLIENT]" {
			t.Errorf("%s: default roles %v %v", name, a, n)
		}
		select {
		case <-changed:
			t.Errorf("%s: a change is told that did not happen", name)
		default:
		}
	}

	// A removed assignment inherits again; an empty one does not.
	if err := s.Update("admin", `remove "CLIENT" permissions for path "secret"`); err != nil {
		t.Fatal(err)
	}
	if !s.Policy().HasPath([]string{"CLIENT"}, "secret/a", ReadTopic) {
		t.Error("the assignment counts after its removal")
	}
	if err := s.Update("bob", `set "CLIENT" permissions [MODIFY_SECURITY]`); err == nil ||
		err.Error() != "update security store: line 1, column 5: this role is locked by another principal" {
		t.Errorf("locked: %v", err)
	}
}

func TestPolicyUpdateIsAllOrNothing(t *testing.T) {
	s := testPolicyStore(t, t.TempDir())
	before, changed := s.Watch()
	file, _ := os.ReadFile(s.Path())
	for _, script := range []string{
		"isolate path 'a'\nisolate",
		"isolate path 'a'\nset 'CLIENT' includes ['ADMINISTRATOR']",
		"", "# nothing", "deisolate path 'a'", s.current.Load().model.Script(), "isolate path 'a'\ndeisolate path 'a'",
	} {
		err := s.Update("admin", script)
		if wrong := strings.Contains(script, "isolate path 'a'\n") && !strings.HasSuffix(script, "path 'a'"); wrong != (err != nil) {
			t.Errorf("%q: %v", script, err)
		}
		if s.Policy() != before {
			t.Errorf("%q makes a new policy", script)
		}
		if after, _ := os.ReadFile(s.Path()); !bytes.Equal(file, after) {
			t.Errorf("%q changes the file", script)
		}
	}
	select {
	case <-changed:
		t.Error("a change is told that did not happen")
	default:
	}
}

func TestPolicyReceiversOwnWhatTheyGet(t *testing.T) {
	s := testPolicyStore(t, "")
	if err := s.Update("", "set roles for named sessions ['A']\nisolate path 'a'"); err != nil {
		t.Fatal(err)
	}
	want := s.Model()
	m := s.Model()
	m.Named[0], m.Isolated[0], m.Roles[1].Includes[0], m.Roles[0].Name = "x", "x", "x", "x"
	m.Roles[0].Paths["x"] = 1
	s.Policy().DefaultRoles("x")[0] = "x"
	if got := s.Model(); !reflect.DeepEqual(got, want) || s.Policy().DefaultRoles("x")[0] != "A" {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDamagedPolicyFile(t *testing.T) {
	good := testPolicyStore(t, t.TempDir())
	data, err := os.ReadFile(good.Path())
	if err != nil {
		t.Fatal(err)
	}
	whole := string(data)
	lines := strings.SplitAfter(whole, "\n")
	sum := "line 2, column 1: the content does not match this checksum, so the file is damaged or was edited by hand; " + remedyChecksum
	statement := "; " + policyFile.remedy
	empty := "line 1, column 1: the file has no statement, so it is empty or was cut off" + statement
	tests := []struct{ name, content, want string }{
		{"empty", "", empty},
		{"only comments", lines[0] + "#", empty},
		{"cut off between lines", strings.Join(lines[:9], ""), sum},
		{"cut off in a line", whole[:len(whole)-20], "line 32, column 52: this quote is never closed" + statement},
		{"edited", strings.Replace(whole, "Diffusion\" permissions []", "Diffusion\" permissions [READ_TOPIC]", 1), sum},
		{"wrong line", "set 'R' permissions []\nset 'R' path 'a' permissions [READ]", "line 2, column 31: there is no path permission of this name; there are " + knownNames(pathNamed) + statement},
		{"cycle", "set 'A' includes ['B']\nset 'B' includes ['A']", `line 2, column 18: a role must not include itself: "A" includes "B" includes "A"` + statement},
		{"file of the other store", stockScript, "line 1, column 1: unknown command; a line starts with set, remove, isolate or deisolate (and 4 more errors)" + statement},
		{"zeros", strings.Repeat("\x00", 100), "line 1, column 1: unexpected character; write names and passwords in quotes" + statement},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, PolicyStoreFile)
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenPolicyStore(dir)
			if want := "open security store: " + path + ": " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if after, _ := os.ReadFile(path); string(after) != tt.content {
				t.Error("opening changed the file")
			}

			// The same damage under a running server keeps the old content.
			running := testPolicyStore(t, t.TempDir())
			before := running.Policy()
			if err := os.WriteFile(running.Path(), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if changed, err := running.Reload(); changed || !errors.As(err, new(*FileError)) {
					t.Errorf("reload: %v, %v", changed, err)
				}
			}
			if err := running.Update("admin", "isolate path 'a'"); err == nil || running.Policy() != before {
				t.Errorf("a change overwrote a damaged file: %v", err)
			}
		})
	}
	for n := range len(whole) {
		if _, _, err := decodeFile(&good.file, data[:n], parsePolicyScript); err == nil {
			t.Fatalf("the first %d of %d bytes are accepted", n, len(whole))
		}
	}
}

func TestPolicyReload(t *testing.T) {
	dir := t.TempDir()
	server := testPolicyStore(t, dir)
	p, told := server.Watch()
	if changed, err := server.Reload(); changed || err != nil || server.Policy() != p {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	const byHand = "# ours\nset 'CLIENT' default path permissions [READ_TOPIC]\n"
	if err := os.WriteFile(server.Path(), []byte(byHand), 0o644); err != nil {
		t.Fatal(err)
	}
	if changed, err := server.Reload(); !changed || err != nil {
		t.Errorf("edited by hand: %v, %v", changed, err)
	}
	<-told
	if g := server.Policy().Resolve([]string{"CLIENT"}); g.PathPermissions("Diffusion") != Paths(ReadTopic) {
		t.Errorf("the edit does not count: %v", g.PathPermissions("Diffusion"))
	}
	if data, _ := os.ReadFile(server.Path()); string(data) != byHand {
		t.Error("reload wrote the file")
	}

	// A start adds the checksum and the right mode.
	testPolicyStore(t, dir)
	data, _ := os.ReadFile(server.Path())
	if info, err := os.Stat(server.Path()); err != nil || info.Mode().Perm() != 0o600 || !bytes.Contains(data, []byte(checksumPrefix)) {
		t.Errorf("mode %v, %v\n%s", info.Mode(), err, data)
	}
	// An update reads what another process wrote first.
	if err := server.Update("", "isolate path 'a'"); err != nil {
		t.Error(err)
	}
	if got := testPolicyStore(t, dir).Model(); len(got.Roles) != 1 || len(got.Isolated) != 1 {
		t.Errorf("got %+v", got)
	}

	if err := os.Remove(server.Path()); err != nil {
		t.Fatal(err)
	}
	if changed, err := server.Reload(); changed || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("file removed: %v, %v", changed, err)
	}
	if err := server.Update("", "isolate path 'b'"); err != nil {
		t.Errorf("a change writes a lost file again: %v", err)
	}
	if got := testPolicyStore(t, dir).Model(); len(got.Isolated) != 2 {
		t.Errorf("got %+v", got)
	}
	if changed, err := testPolicyStore(t, "").Reload(); changed || err != nil {
		t.Errorf("memory: %v, %v", changed, err)
	}
}

func TestPolicyStoreOnFailingDisk(t *testing.T) {
	for i, step := range []string{"create", "write", "sync", "close", "rename", "sync directory"} {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			d := &faultyDisk{}
			file := newStoreFile(dir, policyFile)
			file.disk = d
			s, err := openPolicyStore(file)
			if err != nil {
				t.Fatal(err)
			}
			before, told := s.Watch()
			d.left = i + 1
			if err := s.Update("", "isolate path 'a'"); !errors.Is(err, errDisk) || s.Policy() != before {
				t.Fatalf("got %v", err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
			testPolicyStore(t, dir) // holds the old content or the new one
			if err := s.Update("", "isolate path 'b'"); err != nil {
				t.Fatal(err)
			}
			<-told
			if got := testPolicyStore(t, dir).Model().Isolated; got[len(got)-1] != "b" {
				t.Errorf("the second attempt is lost: %v", got)
			}
		})
	}
}

// Sessions resolve and ask while the store changes. Every answer belongs to
// one policy: "a" and "b" are always open together or closed together.
func TestPolicyStoreConcurrently(t *testing.T) {
	s := testPolicyStore(t, t.TempDir())
	roles := []string{"CLIENT"}
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				p, changed := s.Watch()
				g := p.Resolve(roles)
				if g != p.Resolve(roles) || g.Path("a", ReadTopic) != g.Path("b", ReadTopic) {
					t.Error("a grant of two policies")
				}
				s.Model()
				select {
				case <-done:
					return
				case <-changed:
				}
			}
		})
	}
	for i := range 3 {
		writers.Go(func() {
			for j := range 10 {
				set := "[READ_TOPIC]"
				if (i+j)%2 == 0 {
					set = "[]"
				}
				if err := s.Update("", "set 'CLIENT' path 'a' permissions "+set+"\nset 'CLIENT' path 'b' permissions "+set); err != nil {
					t.Error(err)
				}
				if _, err := s.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

package security

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var cheap = HashCost{MemoryKiB: 8, Passes: 1, Lanes: 1}

var cheapHash = newHash(argon2id, "right", cheap)

func testStore(t testing.TB, dir string, opts ...Option) *Store {
	t.Helper()
	s, err := OpenStore(dir, append([]Option{WithHashCost(cheap)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openMemory(t testing.TB, opts ...Option) *Store { return testStore(t, "", opts...) }

// counting counts the hashes that a store computes.
func counting(n *atomic.Int64) Option {
	return func(s *Store) {
		derive := s.derive
		s.derive = func(password, salt []byte, cost HashCost, size uint32) []byte {
			n.Add(1)
			return derive(password, salt, cost, size)
		}
	}
}

var wantStock = []PrincipalInfo{
	{Name: "client", Roles: []string{"CLIENT"}, StockPassword: true},
	{Name: "control", Roles: []string{"CLIENT_CONTROL", "TOPIC_CONTROL", "AUTHENTICATION_HANDLER"}, StockPassword: true},
	{Name: "admin", Roles: []string{"ADMINISTRATOR"}, StockPassword: true},
	{Name: "operator", Roles: []string{"OPERATOR"}, StockPassword: true},
}

func checkStock(t *testing.T, s *Store) {
	t.Helper()
	if got := s.Principals(); !reflect.DeepEqual(got, wantStock) {
		t.Errorf("principals\n got %v\nwant %v", got, wantStock)
	}
	if got := s.Anonymous(); got.Outcome != Allow || !slices.Equal(got.Roles, []string{"CLIENT"}) {
		t.Errorf("anonymous: %v", got)
	}
	if got := s.StockPasswords(); !slices.Equal(got, []string{"client", "control", "admin", "operator"}) {
		t.Errorf("stock passwords: %v", got)
	}
	for _, p := range wantStock {
		d, err := s.authenticate(t.Context(), p.Name, []byte("password"))
		if err != nil || d.Outcome != Allow || !slices.Equal(d.Roles, p.Roles) {
			t.Errorf("%s: %v, %v", p.Name, d, err)
		}
	}
}

func TestStockStore(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		var hashes atomic.Int64
		s := openMemory(t, counting(&hashes))
		checkStock(t, s)
		if n := hashes.Load(); n != 0 {
			t.Errorf("a store in memory computed %d hashes for public passwords", n)
		}
		if s.Path() != "" {
			t.Errorf("path %q", s.Path())
		}
	})
	t.Run("file", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "new", "data")
		var hashes atomic.Int64
		testStore(t, dir, counting(&hashes))
		if n := hashes.Swap(0); n != 4 {
			t.Errorf("creation computed %d hashes, want 4", n)
		}
		s := testStore(t, dir, counting(&hashes))
		if got := s.StockPasswords(); len(got) != 4 || hashes.Load() != 0 {
			t.Errorf("a start found stock passwords %v with %d hashes, want 4 with none", got, hashes.Load())
		}
		checkStock(t, s)

		info, err := os.Stat(s.Path())
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		data, err := os.ReadFile(s.Path())
		if err != nil || bytes.Contains(data, []byte(`"password"`)) || bytes.Count(data, []byte(`"$argon2id$v=19$m=8,t=1,p=1$`)) != 4 {
			t.Errorf("%v in\n%s", err, data)
		}
	})
}

func TestReceiversOwnWhatTheyGet(t *testing.T) {
	s := openMemory(t)
	s.Principals()[0].Roles[0] = "changed"
	s.Anonymous().Roles[0] = "changed"
	d, _ := s.authenticate(t.Context(), "client", []byte("password"))
	d.Roles[0] = "changed"
	checkStock(t, s)
}

func TestSetPassword(t *testing.T) {
	dir := t.TempDir()
	s := testStore(t, dir)
	if err := s.SetPassword("admin", []byte(`p"w\ #`+"\n")); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPassword("client", []byte("password")); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPassword("operator", []byte("$argon2id$ is a password here")); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*Store{"at once": s, "after a restart": testStore(t, dir)} {
		if got := s.StockPasswords(); !slices.Equal(got, []string{"client", "control"}) {
			t.Errorf("%s: stock passwords %v", name, got)
		}
		for _, tt := range []struct {
			principal, password string
			want                Outcome
		}{
			{"admin", "p\"w\\ #\n", Allow}, {"admin", "password", Deny},
			{"client", "password", Allow},
			{"operator", "$argon2id$ is a password here", Allow}, {"operator", "password", Deny},
		} {
			if d, err := s.authenticate(t.Context(), tt.principal, []byte(tt.password)); err != nil || d.Outcome != tt.want {
				t.Errorf("%s: %s with %q: %v, %v; want %v", name, tt.principal, tt.password, d, err, tt.want)
			}
		}
	}
	if err := s.SetPassword("nobody", []byte("x")); !errors.Is(err, ErrNoSuchPrincipal) {
		t.Errorf("unknown principal: %v", err)
	}
	if err := s.SetPassword("admin", nil); !errors.Is(err, ErrEmptyPassword) {
		t.Errorf("empty password: %v", err)
	}
	if err := s.SetPassword("admin", []byte("password")); err != nil || !slices.Contains(s.StockPasswords(), "admin") {
		t.Errorf("set back to the stock password: %v, %v", err, s.StockPasswords())
	}
}

func TestFileIsReadBackTheSame(t *testing.T) {
	dir := t.TempDir()
	s := testStore(t, dir)
	if err := s.Update(t.Context(), "admin", sdkScript); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	again := testStore(t, dir)
	if got := again.file.encode(again.state.Load().script()); !bytes.Equal(got, first) {
		t.Errorf("got\n%s\nwant\n%s", got, first)
	}
	want := append(slices.Clone(wantStock),
		PrincipalInfo{Name: "al"}, PrincipalInfo{Name: "lk", Roles: []string{"A", "B"}, LockedBy: "admin"})
	if got := again.Principals(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestConfiguration(t *testing.T) {
	s := openMemory(t)
	if err := s.Update(t.Context(), "admin", sdkScript+"\ntrust client proposed property 'Foo' if value in ['x' 'y']"); err != nil {
		t.Fatal(err)
	}
	want := Configuration{
		Principals: append(slices.Clone(wantStock),
			PrincipalInfo{Name: "al"}, PrincipalInfo{Name: "lk", Roles: []string{"A", "B"}, LockedBy: "admin"}),
		Anonymous: Decision{Outcome: Abstain},
		Trusted:   []TrustedProperty{{Key: "Bar", Pattern: `^a\d$`}, {Key: "Foo", Values: []string{"x", "y"}}},
	}
	for range 2 {
		got := s.Configuration()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		got.Principals[0].Roles[0], got.Trusted[1].Values[0] = "changed", "changed"
	}
	if text := fmt.Sprintf("%+v", want); strings.Contains(text, "argon2") || strings.Contains(text, "pw") {
		t.Errorf("secrets in %s", text)
	}
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	var hashes atomic.Int64
	s := testStore(t, dir, counting(&hashes))
	before, _ := os.ReadFile(s.Path())
	hashes.Store(0)
	err := s.Update(t.Context(), "admin", "deny anonymous connections\nadd principal 'a' 'b'\nremove principal 'x'\nremove principal 'y'")
	var errs ScriptErrors
	if !errors.As(err, &errs) || len(errs) != 2 || *errs[1] != (ScriptError{4, 18, "there is no principal of this name"}) {
		t.Errorf("got %v", err)
	}
	checkStock(t, s)
	if after, _ := os.ReadFile(s.Path()); !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
	if n := hashes.Load(); n > 4 { // of checkStock
		t.Errorf("%d hashes for a script with mistakes", n)
	}
}

func TestUpdateVerifiesAndRespectsLocks(t *testing.T) {
	s := openMemory(t)
	steps := []struct{ by, script, want string }{
		{"control", "add principal 'x' 'pw' [] locked by 'admin'", ""},
		{"control", "verify password 'x' 'pw'", ""},
		{"control", "verify password 'x' 'PW'", "line 1, column 21: this is not the password of the principal"},
		{"control", "verify password 'admin' 'password'", ""},
		{"control", "verify password 'admin' '$argon2id$'", "line 1, column 25: this is not the password of the principal"},
		{"control", "set password 'x' 'a'", "line 1, column 14: this principal is locked by another principal"},
		{"", "assign roles 'x' ['ADMINISTRATOR']", "line 1, column 14: this principal is locked by another principal"},
		{"x", "remove principal 'x'", "line 1, column 18: this principal is locked by another principal"},
		{"admin", "assign roles 'x' ['CLIENT']", ""},
		{"admin", "remove principal 'x'", ""},
	}
	for _, step := range steps {
		err := s.Update(t.Context(), step.by, step.script)
		if got := fmt.Sprint(err); (step.want == "") != (err == nil) || !strings.HasSuffix(got, step.want) && err != nil {
			t.Errorf("%q %s: got %v, want %q", step.by, step.script, err, step.want)
		}
	}
}

func TestHandWrittenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, StoreFile)
	stock := newHash(argon2id, "password", cheap)
	text := "add principal 'plain' 'pw' ['CLIENT']\n" +
		"add principal 'lazy' 'password'\n" +
		"add principal 'pasted' '" + stock.encoded + "'\n" +
		"add principal 'liar' '" + cheapHash.encoded + "' # stock password\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var hashes atomic.Int64
	s := testStore(t, dir, counting(&hashes))
	if n := hashes.Load(); n != 4 {
		t.Errorf("%d hashes, want 2 for passwords and 2 for hashes of unknown origin", n)
	}
	for i, s := range []*Store{s, testStore(t, dir, counting(&hashes))} {
		if got := s.StockPasswords(); !slices.Equal(got, []string{"lazy", "pasted"}) {
			t.Errorf("start %d: stock passwords %v", i, got)
		}
		if got := s.Anonymous(); got.Outcome != Deny {
			t.Errorf("start %d: nothing said about anonymous connections: %v", i, got)
		}
		for principal, password := range map[string]string{"plain": "pw", "lazy": "password", "pasted": "password", "liar": "right"} {
			if d, err := s.authenticate(t.Context(), principal, []byte(password)); err != nil || d.Outcome != Allow {
				t.Errorf("start %d: %s: %v, %v", i, principal, d, err)
			}
		}
	}
	if data, _ := os.ReadFile(path); bytes.Contains(data, []byte("'pw'")) || bytes.Contains(data, []byte(`"pw"`)) {
		t.Errorf("a plain password is left in\n%s", data)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestDamagedFile(t *testing.T) {
	good := testStore(t, t.TempDir())
	data, err := os.ReadFile(good.Path())
	if err != nil {
		t.Fatal(err)
	}
	whole := string(data)
	lines := strings.SplitAfter(whole, "\n")
	hashAt := strings.Index(whole, "$argon2id$")
	var (
		sum   = "the content does not match this checksum, so the file is damaged or was edited by hand; " + remedyChecksum
		empty = "line 1, column 1: the file has no statement, so it is empty or was cut off; " + principalFile.remedy
		hash  = "line 1, column 19: this is not a complete password hash of the form $argon2id$v=19$m=...,t=...,p=...$salt$key; " + principalFile.remedy
		cost  = "line 1, column 19: the cost of the password hash is out of range (m=8*p..1048576, t=1..64, p=1..64); " + principalFile.remedy
	)
	add := func(hash string) string { return "add principal 'a' '" + hash + "'\n" }
	flip := []byte(whole)
	flip[hashAt+60] ^= 1
	tests := []struct{ name, content, want string }{
		{"empty", "", empty},
		{"only the title", lines[0], empty},
		{"only comments", "# a\n#b\n\n", empty},
		{"cut off after the checksum", lines[0] + lines[1], "line 2, column 1: " + sum},
		{"cut off in the checksum", lines[0] + lines[1][:30], "line 2, column 1: " + sum},
		{"cut off between lines", strings.Join(lines[:5], ""), "line 2, column 1: " + sum},
		{"cut off in a hash", whole[:hashAt+40], "line 4, column 24: this quote is never closed; " + principalFile.remedy},
		{"edited", strings.Replace(whole, `["CLIENT"]`, `["ADMINISTRATOR"]`, 1), "line 2, column 1: " + sum},
		{"mark removed", strings.Replace(whole, " # stock password", "", 1), "line 2, column 1: " + sum},
		{"one bit", string(flip), "line 2, column 1: " + sum},
		{"line feeds converted", strings.ReplaceAll(whole, "\n", "\r\n"), "line 2, column 1: " + sum},
		{"zeros", strings.Repeat("\x00", 100), "line 1, column 1: unexpected character; write names and passwords in quotes; " + principalFile.remedy},
		{"zeros at the end", whole + "\x00", "line 8, column 1: unexpected character; write names and passwords in quotes; " + principalFile.remedy},
		{"binary", "\xff\xfe\x00", "line 1, column 1: this is not UTF-8 text; " + principalFile.remedy},
		{"principal twice", "add principal 'a' 'b'\nadd principal 'a' 'c'\nremove principal 'd'", "line 2, column 15: there is already a principal of this name (and 1 more errors); " + principalFile.remedy},
		{"hash of another version", add("$argon2id$v=16$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"), hash},
		{"hash cut off", add(cheapHash.encoded[:45]), hash},
		{"hash without key", add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$"), hash},
		{"hash with padding", add(cheapHash.encoded + "="), hash},
		{"hash with leading zero", add(strings.Replace(cheapHash.encoded, "m=8", "m=08", 1)), hash},
		{"hash without a number", add(strings.Replace(cheapHash.encoded, "t=1,", "", 1)), hash},
		{"hash that takes all memory", add(strings.Replace(cheapHash.encoded, "m=8", "m=4294967295", 1)), cost},
		{"hash that takes all time", add(strings.Replace(cheapHash.encoded, "t=1", "t=65", 1)), cost},
		{"hash that takes none", add(strings.Replace(cheapHash.encoded, "t=1", "t=0", 1)), cost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, StoreFile)
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenStore(dir, WithHashCost(cheap))
			if want := "open authentication store: " + path + ": " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if !errors.As(err, new(*FileError)) {
				t.Errorf("%T holds no FileError", err)
			}
			if after, _ := os.ReadFile(path); string(after) != tt.content {
				t.Error("opening changed the file")
			}

			// The same damage under a running server keeps the old content.
			running := testStore(t, t.TempDir())
			if err := os.WriteFile(running.Path(), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if changed, err := running.Reload(); changed || err == nil {
					t.Errorf("reload: %v, %v", changed, err)
				}
			}
			if err := running.SetPassword("admin", []byte("x")); err == nil {
				t.Error("a change overwrote a damaged file")
			}
			checkStock(t, running)
		})
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	s := testStore(t, t.TempDir())
	whole := s.file.encode(s.state.Load().script())
	for n := range len(whole) {
		if _, _, err := decodeFile(&s.file, whole[:n], parseScript); err == nil {
			t.Fatalf("the first %d of %d bytes are accepted", n, len(whole))
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, StoreFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(dir); err == nil {
		t.Error("a directory is no store")
	}
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(blocked); err == nil {
		t.Error("a file is no data directory")
	}
	if _, err := OpenStore("", WithHashCost(HashCost{})); err == nil {
		t.Error("hashing without cost is accepted")
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	var hashes atomic.Int64
	server := testStore(t, dir, counting(&hashes))
	command := testStore(t, dir)
	if changed, err := server.Reload(); changed || err != nil {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	if err := command.SetPassword("admin", []byte("new")); err != nil {
		t.Fatal(err)
	}
	hashes.Store(0)
	if changed, err := server.Reload(); !changed || err != nil {
		t.Errorf("another process wrote: %v, %v", changed, err)
	}
	if got := server.StockPasswords(); !slices.Equal(got, []string{"client", "control", "operator"}) || hashes.Load() != 0 {
		t.Errorf("stock passwords %v after %d hashes", got, hashes.Load())
	}
	if d, err := server.authenticate(t.Context(), "admin", []byte("new")); err != nil || d.Outcome != Allow {
		t.Errorf("new password: %v, %v", d, err)
	}
	if d, err := server.authenticate(t.Context(), "admin", []byte("password")); err != nil || d.Outcome != Deny {
		t.Errorf("old password: %v, %v", d, err)
	}

	// Both sides write in turn; neither loses the other's change.
	if err := server.SetPassword("client", []byte("c")); err != nil {
		t.Fatal(err)
	}
	if err := command.SetPassword("control", []byte("d")); err != nil {
		t.Fatal(err)
	}
	if changed, err := server.Reload(); !changed || err != nil {
		t.Errorf("the command wrote: %v, %v", changed, err)
	}
	if got := server.StockPasswords(); !slices.Equal(got, []string{"operator"}) {
		t.Errorf("stock passwords %v", got)
	}

	// A hand edit is believed after its hashes are known or proved, and the
	// file is left as it is.
	data, _ := os.ReadFile(server.Path())
	_, script, _ := strings.Cut(strings.TrimPrefix(string(data), principalFile.title), "\n")
	edited := strings.ReplaceAll(script, " # stock password", "") + "add principal 'x' 'password'\n"
	if err := os.WriteFile(server.Path(), []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	hashes.Store(0)
	if changed, err := server.Reload(); !changed || err != nil || hashes.Load() != 1 {
		t.Errorf("hand edit: %v, %v, %d hashes", changed, err, hashes.Load())
	}
	if got := server.StockPasswords(); !slices.Equal(got, []string{"operator", "x"}) {
		t.Errorf("stock passwords %v", got)
	}
	if after, _ := os.ReadFile(server.Path()); string(after) != edited {
		t.Error("reload wrote the file")
	}

	if err := os.Remove(server.Path()); err != nil {
		t.Fatal(err)
	}
	if changed, err := server.Reload(); changed || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("file removed: %v, %v", changed, err)
	}
	if len(server.Principals()) != 5 {
		t.Error("the old content is gone")
	}
	if err := server.SetPassword("operator", []byte("o")); err != nil {
		t.Errorf("a change writes a lost file again: %v", err)
	}
	if got := testStore(t, dir).StockPasswords(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("stock passwords %v", got)
	}

	if changed, err := openMemory(t).Reload(); changed || err != nil {
		t.Errorf("memory: %v, %v", changed, err)
	}
}

func TestReloadSeesSameSizeAndTime(t *testing.T) {
	// A replaced file of equal size and time is another file.
	dir := t.TempDir()
	server, command := testStore(t, dir), testStore(t, dir)
	at := time.Unix(1e9, 0)
	if err := os.Chtimes(server.Path(), at, at); err != nil {
		t.Fatal(err)
	}
	if changed, err := server.Reload(); !changed || err != nil {
		t.Fatalf("%v, %v", changed, err)
	}
	if err := command.SetPassword("admin", []byte("password")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(server.Path(), at, at); err != nil {
		t.Fatal(err)
	}
	if changed, err := server.Reload(); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
}

// faultyDisk fails its nth call that changes something.
type faultyDisk struct {
	osDisk
	mu    sync.Mutex
	left  int
	calls int
}

var errDisk = errors.New("injected")

func (d *faultyDisk) step() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.left--; d.left == 0 {
		return errDisk
	}
	return nil
}

func (d *faultyDisk) CreateTemp(dir, pattern string) (tempFile, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	f, err := d.osDisk.CreateTemp(dir, pattern)
	return &faultyFile{f, d}, err
}

func (d *faultyDisk) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.osDisk.Rename(from, to)
}

func (d *faultyDisk) SyncDir(dir string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.osDisk.SyncDir(dir)
}

type faultyFile struct {
	tempFile
	disk *faultyDisk
}

func (f *faultyFile) Write(b []byte) (int, error) {
	if err := f.disk.step(); err != nil {
		n, _ := f.tempFile.Write(b[:len(b)/2])
		return n, err
	}
	return f.tempFile.Write(b)
}

func (f *faultyFile) Sync() error {
	return errors.Join(f.disk.step(), f.tempFile.Sync())
}

func (f *faultyFile) Close() error {
	return errors.Join(f.disk.step(), f.tempFile.Close())
}

var _ io.Writer = (*faultyFile)(nil)

func TestFailingDisk(t *testing.T) {
	steps := []string{"create", "write", "sync", "close", "rename", "sync directory"}
	for i, name := range steps {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := &faultyDisk{}
			s := testStore(t, dir, func(s *Store) { s.file.disk = d })
			if d.calls != len(steps) {
				t.Fatalf("%d steps, want %d", d.calls, len(steps))
			}
			before, _ := os.ReadFile(s.Path())
			d.left = i + 1
			if err := s.SetPassword("admin", []byte("new")); !errors.Is(err, errDisk) {
				t.Fatalf("got %v", err)
			}
			after, _ := os.ReadFile(s.Path())
			if replaced := name == "sync directory"; bytes.Equal(before, after) == replaced {
				t.Errorf("replaced: %v, want %v", !replaced, replaced)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
			checkStock(t, s) // the old password stays in force
			testStore(t, dir)

			if err := s.SetPassword("admin", []byte("new")); err != nil {
				t.Fatal(err)
			}
			if got := testStore(t, dir).StockPasswords(); slices.Contains(got, "admin") {
				t.Errorf("the second attempt is lost: %v", got)
			}
		})
		t.Run("first "+name, func(t *testing.T) {
			dir := t.TempDir()
			d := &faultyDisk{left: i + 1}
			if _, err := OpenStore(dir, WithHashCost(cheap), func(s *Store) { s.file.disk = d }); !errors.Is(err, errDisk) {
				t.Errorf("got %v", err)
			}
			checkStock(t, testStore(t, dir))
		})
	}
}

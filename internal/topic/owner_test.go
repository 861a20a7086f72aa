package topic

import (
	"strings"
	"testing"
)

func TestParseOwner(t *testing.T) {
	for text, want := range map[string]string{
		`$Principal is "alice"`:          `alice`,
		`$Principal is 'alice'`:          `alice`,
		" $Principal\tIS\r\n'alice' ":    `alice`,
		`$Principal is"alice"`:           `alice`, // white space is optional around quotes
		`$Principal is "a \"b\" \\ 'c'"`: `a "b" \ 'c'`,
		`$Principal is 'a \'b\' "c"'`:    `a 'b' "c"`,
		`$Principal is '\a\ü '`:          "aü ",
		`$Principal is '\\'`:             `\`,
	} {
		if got, err := ParseOwner(text); err != nil || got != want {
			t.Errorf("%s names %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestParseOwnerRefusals(t *testing.T) {
	for _, text := range []string{
		``, `alice`, `"alice"`, `$Principal`, `$Principal is`, `$Principal i`, `$Principal is alice`, `$Principal is "alice`, `$Principal is 'alice"`,
		`$Principal is "alice\"`, `$Principal is "alice\`, `$Principal is "`, `$Principal is ""`, `$Principal eq "alice"`, `$Principal isnt "alice"`,
		`$Principalis "alice"`, `$principal is "alice"`, `$Principal is "alice" x`, `$Principal is "a" or $Principal is "b"`, `$Principal is "a""b"`,
	} {
		if got, err := ParseOwner(text); err == nil {
			t.Errorf("%s names %q, want an error", text, got)
		}
	}
}

func FuzzOwner(f *testing.F) {
	for _, text := range []string{`$Principal is "alice"`, `$Principal is 'a\'b'`, `$Principal is "\`, "a\\'\""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if name, err := ParseOwner(text); err == nil && (name == "" || !strings.HasPrefix(strings.TrimSpace(text), "$Principal")) {
			t.Fatalf("%q names %q", text, name)
		}
		if text == "" {
			return
		}
		for _, quote := range []string{`"`, `'`} {
			escaped := strings.NewReplacer(`\`, `\\`, quote, `\`+quote).Replace(text)
			if name, err := ParseOwner("$Principal is " + quote + escaped + quote); err != nil || name != text {
				t.Fatalf("owner %q, quoted with %s, is read as %q, %v", text, quote, name, err)
			}
		}
	})
}

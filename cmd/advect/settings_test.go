package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"advect.dev/server"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

// TestEverySettingIsBound compares the fields of server.Config, the names in
// their comments, the settings and the flags of serve.
func TestEverySettingIsBound(t *testing.T) {
	documented := documentedNames(t)
	bound := make(map[string]string) // setting by field
	for f := range reflect.TypeFor[settings]().Fields() {
		bound[f.Name] = f.Tag.Get("yaml")
	}
	for f := range reflect.TypeFor[server.Config]().Fields() {
		if f.Name == "Logger" { // what the log settings make
			continue
		}
		if bound[f.Name] == "" {
			t.Errorf("server.Config.%s is no setting", f.Name)
		}
		if documented[f.Name] != bound[f.Name] {
			t.Errorf("server.Config.%s is documented as %q and set as %q", f.Name, documented[f.Name], bound[f.Name])
		}
	}
	parser, err := newParser(&streams{})
	if err != nil {
		t.Fatal(err)
	}
	flags := flagsOf(parser.Model.Node, "serve")
	for field, name := range bound {
		if flags[name] == nil {
			t.Errorf("setting %s (%s) is no flag of serve", name, field)
		}
	}
}

// documentedNames returns the setting that the comment of each field of
// server.Config names, by field.
func documentedNames(t *testing.T) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "../../server/config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	inComment := regexp.MustCompile(`Names?: ([a-z, -]+)\.`)
	names := make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok || field.Doc == nil {
			return true
		}
		m := inComment.FindStringSubmatch(strings.Join(strings.Fields(field.Doc.Text()), " "))
		if m == nil {
			return true
		}
		list := strings.Split(m[1], ", ")
		for i, name := range field.Names {
			if i < len(list) {
				names[name.Name] = list[i]
			}
		}
		return true
	})
	return names
}

func flagsOf(node *kong.Node, command string) map[string]*kong.Flag {
	flags := make(map[string]*kong.Flag)
	for _, child := range node.Children {
		if child.Name == command {
			for _, f := range child.Flags {
				flags[f.Name] = f
			}
		}
	}
	return flags
}

// TestSettingsTable checks the tables in docs/configuration.md.
func TestSettingsTable(t *testing.T) {
	const name, begin, end = "../../docs/configuration.md", "<!-- settings -->\n", "<!-- end of settings -->\n"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no markers of the settings", name)
	}
	want := before + begin + settingsTable() + end + after
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s does not show the settings as they are. Try: go test ./cmd/advect -run TestSettingsTable -update", name)
	}
}

func settingsTable() string {
	var b strings.Builder
	group := ""
	for _, s := range describe(defaults()) {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n### %s\n\n| Name | Value | Default | Meaning |\n|---|---|---|---|\n", group)
		}
		unit := strings.ReplaceAll(s.Unit, "|", " \\| ")
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, unit, s.DefaultText, s.Help)
	}
	return b.String() + "\n"
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]size{
		"0": 0, "1024": 1024, "1B": 1, "64KB": 64000, "64KiB": 64 << 10, "32MiB": 32 << 20, "32 MiB": 32 << 20,
		"1mib": 1 << 20, "2GB": 2e9, "2GiB": 2 << 30,
	} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
		var again size
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q prints as %q, which reads as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "MiB", "12XB", "1M", "9223372036854775807GiB", "99999999999999999999"} {
		if err := new(size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a size", text)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0s", "500ms": "500ms", "90s": "90s", "1m30s": "90s", "5m": "5m", "1h": "1h", "1h0m5s": "1h0m5s", "61m": "1h1m",
	} {
		var d duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("%q: %s, %v; want %s", text, d, err, want)
		}
		if again, err := time.ParseDuration(d.String()); err != nil || duration(again) != d {
			t.Errorf("%q prints as %q, which is %v, %v", text, d, again, err)
		}
	}
	for _, text := range []string{"", "90", "soon"} {
		if err := new(duration).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a duration", text)
		}
	}
}

// TestCommandsAreDocumented looks for every command and flag in docs/cli.md.
// Settings are in docs/configuration.md.
func TestCommandsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := newParser(&streams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Leaves(true) {
		if !strings.Contains(string(text), "\n## "+command.Path()+"\n") {
			t.Errorf("docs/cli.md has no section %q", command.Path())
		}
		for _, f := range command.Flags {
			if f.Tag.Get("yaml") == "" && !strings.Contains(string(text), "--"+f.Name) && f.Short == 0 {
				t.Errorf("docs/cli.md does not mention --%s of %s", f.Name, command.Path())
			}
		}
	}
}

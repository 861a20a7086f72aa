package internal

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed says which of our packages each package may import: the table of
// docs/architecture.md. Lower layers know nothing of upper ones.
var allowed = map[string][]string{
	"datatype":                     {},
	"internal/wire":                {},
	"internal/delta":               {},
	"internal/filter":              {},
	"internal/outbox":              {},
	"internal/security":            {},
	"internal/security/hook":       {"internal/security"},
	"internal/security/token":      {"internal/security"},
	"internal/removal":             {"internal/filter", "internal/selector"},
	"internal/topic":               {"internal/wire"},
	"internal/selector":            {"internal/topic", "internal/selector/javaregexp"},
	"internal/selector/javaregexp": {},
	"internal/service":             {"internal/wire", "internal/topic"},
	"internal/lock":                {"internal/service"},
	"internal/timeseries":          {"internal/service", "internal/topic", "internal/wire"},
	"internal/client":              {"internal/wire"},
	"internal/tally":               {},
	"internal/observe":             {"internal/filter", "internal/selector", "internal/selector/javaregexp", "internal/service", "internal/tally", "internal/topic", "internal/wire"},
	"internal/alert":               {"datatype", "internal/service", "internal/topic"},
	"internal/tree":                {"datatype", "internal/delta", "internal/outbox", "internal/removal", "internal/selector", "internal/service", "internal/tally", "internal/timeseries", "internal/topic", "internal/wire"},
	"internal/engine":              {"internal/alert", "internal/filter", "internal/lock", "internal/observe", "internal/outbox", "internal/removal", "internal/security", "internal/selector", "internal/service", "internal/tally", "internal/topic", "internal/tree", "internal/wire"},
	"internal/transport":           {"internal/engine", "internal/outbox", "internal/security", "internal/wire"},
	"internal/load":                {"", "datatype", "internal/tally"},
	"internal/inspect":             {"datatype", "internal/delta", "internal/service", "internal/topic", "internal/wire"},
	"server":                       {"internal/engine", "internal/observe", "internal/outbox", "internal/security", "internal/security/hook", "internal/security/token", "internal/transport", "internal/tree"},
	"advecttest":                   {"", "internal/security", "server"},
	"cmd/advect":                   {"", "advecttest", "datatype", "internal/inspect", "internal/load", "internal/security", "internal/wire", "server"},
	"":                             {"datatype", "internal/client", "internal/delta", "internal/selector", "internal/service", "internal/topic", "internal/wire"},
}

func TestImportDirection(t *testing.T) {
	const module = "advect.dev"
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	relative := func(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		may, known := allowed[relative(p.ImportPath)]
		if !known {
			if len(p.Imports) > 0 && !strings.Contains(p.ImportPath, "/conformance") {
				t.Errorf("%s has no line in the table of imports: add one, here and in docs/architecture.md", p.ImportPath)
			}
			continue
		}
		for _, i := range p.Imports {
			if (i == module || strings.HasPrefix(i, module+"/")) && !slices.Contains(may, relative(i)) {
				t.Errorf("%s imports %s, which the layout does not allow", p.ImportPath, i)
			}
		}
	}
}

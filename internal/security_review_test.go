package internal

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityReview checks that every test that docs/security.md names exists, and
// that every claim of what is enforced names one.
func TestSecurityReview(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)(?:/([a-z-]+))?`")
	sources := make(map[string]string) // of the tests of a package
	exists := func(pkg, test, script string) bool {
		dir := filepath.Join("..", strings.TrimPrefix(pkg, "advect"))
		if _, read := sources[dir]; !read {
			files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				source, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				sources[dir] += string(source)
			}
		}
		if script != "" {
			if _, err := os.Stat(filepath.Join(dir, "testdata", "script", script+".txtar")); err != nil {
				return false
			}
		}
		return strings.Contains(sources[dir], "\nfunc "+test+"(")
	}
	count, enforced := 0, false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "## ") {
			enforced = strings.HasPrefix(line, "## What is enforced")
		}
		tests := named.FindAllStringSubmatch(line, -1)
		for _, m := range tests {
			count++
			if !exists(m[1], m[2], m[3]) {
				t.Errorf("docs/security.md names %s, which is not there", m[0])
			}
		}
		row := strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|---") && !strings.HasPrefix(line, "| claim ")
		if enforced && row && len(tests) == 0 {
			t.Errorf("no test is named for: %.90s", line)
		}
	}
	if count < 50 {
		t.Errorf("only %d tests are found in docs/security.md", count)
	}
}

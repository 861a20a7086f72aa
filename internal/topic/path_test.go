package topic

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCanonicalVectors(t *testing.T) {
	data, err := os.ReadFile("../../testdata/vectors/selectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		CanonicalPaths []struct{ Path, Canonical string }
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.CanonicalPaths) == 0 {
		t.Fatal("no canonicalPaths in the vectors")
	}
	for _, v := range vectors.CanonicalPaths {
		if got := Canonical(v.Path); got != v.Canonical {
			t.Errorf("Canonical(%q) = %q, want %q", v.Path, got, v.Canonical)
		}
	}
}

func TestCheckPath(t *testing.T) {
	for _, path := range []string{"a", "a/b", " ", ".*", "a\x00b", "ü/水", "Diffusion/x", ">a", "a?"} {
		if err := CheckPath(path); err != nil {
			t.Errorf("CheckPath(%q) = %v, want nil", path, err)
		}
	}
	for _, path := range []string{"", "/", "/a", "a/", "a//b", "//", "a\xff", "\xc3"} {
		if err := CheckPath(path); !errors.Is(err, ErrInvalidPath) {
			t.Errorf("CheckPath(%q) = %v, want ErrInvalidPath", path, err)
		}
	}
}

func TestReserved(t *testing.T) {
	for path, want := range map[string]bool{
		"Diffusion": true, "Diffusion/a": true, "DiffusionX/a": false, "diffusion/a": false, "a/Diffusion": false, "": false,
	} {
		if got := Reserved(path); got != want {
			t.Errorf("Reserved(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestComparePaths(t *testing.T) {
	ordered := []string{
		"a", "a/b", "a/c", "a/c/x", "a/c/y", "a/d", "a/e", "a\x00", "a\x00/b", "a-x", "a.b", "ab", "b", "b/a/x", "b/b/x", "c", "水",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := ComparePaths(a, b); got != want {
				t.Errorf("ComparePaths(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { ComparePaths("a/b/c/d", "a/b/c/e") }); n != 0 {
		t.Errorf("ComparePaths allocates %v times", n)
	}
}

func TestComparePathsIsSegmentOrder(t *testing.T) {
	segments := rapid.StringMatching(`[\x00-\x02./0a]{1,3}(/[\x00-\x02.a]{1,2}){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := segments.Draw(t, "a"), segments.Draw(t, "b")
		want := slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
		if got := ComparePaths(a, b); got != want {
			t.Fatalf("ComparePaths(%q, %q) = %d, want %d", a, b, got, want)
		}
	})
}

func BenchmarkComparePaths(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ComparePaths("markets/fx/eur/usd/bid", "markets/fx/eur/usd/offer")
	}
}

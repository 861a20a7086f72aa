package service

import (
	"errors"
	"testing"

	"advect.dev/internal/wire"
)

// TestConstraintLimit checks that a request cannot make the server hold many
// times its own size in constraints.
func TestConstraintLimit(t *testing.T) {
	tree := func(depth int) *Constraint {
		var grow func(int) *Constraint
		grow = func(n int) *Constraint {
			if n == 0 {
				return &Constraint{Kind: NoTopic}
			}
			return &Constraint{Kind: Conjunction, Left: grow(n - 1), Right: grow(n - 1)}
		}
		return grow(depth)
	}
	for depth, fits := range map[int]bool{12: true, 13: false} { // 8191 and 16383 parts
		var c Constraint
		r := wire.NewReader(tree(depth).append(nil))
		c.read(r)
		if (r.Err() == nil) != fits || !fits && !errors.Is(r.Err(), wire.ErrMalformed) {
			t.Errorf("depth %d: %v", depth, r.Err())
		}
	}
}

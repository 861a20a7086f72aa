package advect

import (
	"context"
	"fmt"
	"iter"
	"regexp"
	"strings"
)

// A Branch is one child of a path in the tree of topics.
type Branch struct {
	// Path is the path of the child.
	Path string
	// Type is the type of the topic at the path, or 0 if there is none.
	Type TopicType
	// Topics is the number of topics in the branch, the one at its path
	// included, or the limit that was asked for.
	Topics int
	// More says that there are more topics than Topics.
	More bool
}

// branchPage is how many topics a request for branches asks for.
const branchPage = 1000

// Branches yields the children of a path, in path order, of the whole tree if
// it is empty: one level of the tree, with the number of topics below each
// child counted up to a limit. It fetches no more topics of any branch than
// that takes, in requests of at most 1000 topics, so trees of any size can be
// shown level by level. Topics that are added or removed meanwhile may count or
// not.
//
// An error is the last thing that the loop gets. Errors are those of
// [Topics.FetchTopics]. A limit below 1 is taken for 1.
func (t *Topics) Branches(ctx context.Context, path string, limit int) iter.Seq2[Branch, error] {
	return func(yield func(Branch, error) bool) {
		path, limit := strings.Trim(path, "/"), max(limit, 1)
		selector, depth := "?.*//", 1
		if path != "" {
			segments := strings.Split(path, "/")
			for i, s := range segments {
				segments[i] = regexp.QuoteMeta(s)
			}
			selector, depth = "?"+strings.Join(segments, "/")+"//", len(segments)+1
		}
		page := FetchQuery{Selector: selector, First: branchPage, DeepBranches: &DeepBranches{Depth: depth, Limit: limit + 1}}
		var branch Branch
		for {
			result, err := t.FetchTopics(ctx, page)
			if err == nil && result.More && len(result.Topics) == 0 {
				err = fmt.Errorf("fetch %s after %q: %w", selector, page.After, errTooLarge)
			}
			if err != nil {
				yield(Branch{}, err)
				return
			}
			for _, f := range result.Topics {
				child, ok := firstSegments(f.Path, depth)
				if !ok {
					continue // the path itself
				}
				if child != branch.Path {
					if branch.Topics > 0 && !yield(branch, nil) {
						return
					}
					branch = Branch{Path: child}
				}
				if f.Path == child {
					branch.Type = f.Specification.Type
				}
				if branch.Topics == limit {
					branch.More = true
				} else {
					branch.Topics++
				}
			}
			if !result.More {
				break
			}
			if page.After = result.Topics[len(result.Topics)-1].Path; branch.More {
				page.After = branch.Path + lastDescendant
			}
		}
		if branch.Topics > 0 {
			yield(branch, nil)
		}
	}
}

// lastDescendant makes of a path one that comes after those of all topics below
// it, but before all others that come after it (protocol 24 section 4).
const lastDescendant = "/\U0010ffff"

// firstSegments returns the first n segments of a path, if it has as many.
func firstSegments(path string, n int) (string, bool) {
	end := 0
	for ; n > 0; n-- {
		if end == len(path)+1 {
			return "", false
		}
		i := strings.IndexByte(path[end:], '/')
		if i < 0 {
			i = len(path) - end
		}
		end += i + 1
	}
	return path[:end-1], true
}

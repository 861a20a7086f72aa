package selector

import "sync"

// A Cache keeps selectors that were parsed, because sessions often select the same:
// then they share one, and it is parsed once. It keeps small ones only whose
// evaluation cannot fail, so that [Selector.Err] never tells a session what another
// has met. The zero value is empty and ready for use. Its methods may be called
// concurrently.
type Cache struct {
	mu       sync.RWMutex
	selector map[string]*Selector // by expression as it was given
}

const (
	maxCached       = 1024 // selectors; when there are more, all are forgotten
	maxCachedLength = 256  // octets of an expression
	maxCachedCost   = 500  // instructions
)

// Parse does as the function Parse.
func (c *Cache) Parse(expr string) (*Selector, error) {
	c.mu.RLock()
	s := c.selector[expr]
	c.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	s, err := Parse(expr)
	if err != nil || len(expr) > maxCachedLength || !s.cacheable() {
		return s, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.selector[expr]; other != nil {
		return other, nil
	}
	if c.selector == nil || len(c.selector) >= maxCached {
		c.selector = make(map[string]*Selector)
	}
	c.selector[expr] = s
	return s, nil
}

func (s *Selector) cacheable() bool {
	cost := 0
	for _, m := range s.members {
		if m.mayGiveUp() {
			return false
		}
		cost += m.cost()
	}
	return cost <= maxCachedCost
}

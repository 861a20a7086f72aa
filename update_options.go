package advect

import "advect.dev/internal/service"

// An UpdateOption is an option of the calls that update topics. There is one:
// [If]. All of them are options of update streams too.
type UpdateOption interface {
	UpdateStreamOption
	update(*updateOptions)
}

type updateOptions struct {
	constraint Constraint
}

// If makes an update depend on a constraint. Of several the last counts: use
// [Constraint.And] to combine them.
func If(constraint Constraint) UpdateOption { return constraintOption{constraint} }

type constraintOption struct{ constraint Constraint }

func (o constraintOption) update(options *updateOptions) { options.constraint = o.constraint }
func (o constraintOption) updateStream(options *updateStreamOptions) {
	o.update(&options.updateOptions)
}

// constraintOf returns the constraint that options set.
func constraintOf(opts []UpdateOption) (service.Constraint, error) {
	var o updateOptions
	for _, opt := range opts {
		opt.update(&o)
	}
	return o.constraint.wire, o.constraint.err
}

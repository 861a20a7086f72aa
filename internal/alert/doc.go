// Package alert has the language of metric alerts and evaluates them (34 section
// 3). An alert such as
//
//	select diffusion_sessions_open into topic alerts/<server>/sessions
//	    where value > 1000 disable until value < 800
//
// watches the samples of a metric. [Parse] returns a [Specification]. A [Table] has
// the alerts of a server and, while there are any, looks at the metrics once a
// second; for each sample that meets an alert's condition it makes a [Document] and
// has it published as the value of a topic.
package alert

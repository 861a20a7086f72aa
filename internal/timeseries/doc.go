// Package timeseries holds the events of a TIME_SERIES topic and answers range
// queries over them (10 section 10.9, 26). It is pure: the owner of a [Series]
// guards it and tells it the time.
package timeseries

package main

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// size is a number of bytes that is written with or without a unit.
type size int

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}, {"", 1},
}

// UnmarshalText reads forms such as 32MiB, 64KB and 1024.
func (s *size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "BGKMbgikm ")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit := strings.TrimSpace(string(text)[len(digits):])
	for _, u := range sizeUnits {
		if strings.EqualFold(unit, u.name) && err == nil && n >= 0 && n <= math.MaxInt/u.bytes {
			*s = size(n * u.bytes)
			return nil
		}
	}
	return fmt.Errorf("%q is not a size: write a number of bytes, such as 65536, 64KiB, 32MiB, 1GiB (powers of 1024) or 64KB, 32MB, 1GB (powers of 1000)", text)
}

// String returns the shortest exact form with a unit of 1024.
func (s size) String() string {
	for _, u := range sizeUnits[:3] {
		if n := int64(s); n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.Itoa(int(s))
}

// MarshalText is the inverse of UnmarshalText.
func (s size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// duration is a time.Duration; a number without a unit is an error, but 0.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write a number with its unit, such as 500ms, 90s, 5m or 1h30m", text)
	}
	*d = duration(v)
	return nil
}

// String returns the duration without units that are zero, and in seconds below
// two minutes.
func (d duration) String() string {
	if v := time.Duration(d); v%time.Second == 0 && v < 2*time.Minute {
		return strconv.Itoa(int(v/time.Second)) + "s"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is the inverse of UnmarshalText.
func (d duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// logLevel is a level by one of four names.
type logLevel slog.Level

func (l *logLevel) UnmarshalText(text []byte) error {
	for _, known := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(string(text), known.String()) {
			*l = logLevel(known)
			return nil
		}
	}
	return fmt.Errorf("%q is not a log level: use debug, info, warn or error", text)
}

func (l logLevel) String() string { return strings.ToLower(slog.Level(l).String()) }

// MarshalText is the inverse of UnmarshalText.
func (l logLevel) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// logFormat is "text" or "json".
type logFormat string

func (f *logFormat) UnmarshalText(text []byte) error {
	switch s := string(text); s {
	case "text", "json":
		*f = logFormat(s)
		return nil
	}
	return fmt.Errorf("%q is not a log format: use text or json", text)
}

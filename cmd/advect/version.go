package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"advect.dev/internal/wire"
)

type versionCmd struct{}

// Run prints what this binary is.
func (versionCmd) Run(std *streams) error {
	fmt.Fprintln(std.out, versionLine())
	return nil
}

// versionLine names the version, the commit it was built from, the Go release
// and the protocol version.
func versionLine() string {
	version, commit := "devel", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "" && v != "(devel)" {
			version = v
		}
		commit = revision(info.Settings)
	}
	return fmt.Sprintf("advect %s%s %s/%s %s, protocol version %d",
		version, commit, runtime.GOOS, runtime.GOARCH, runtime.Version(), wire.Version)
}

func revision(settings []debug.BuildSetting) string {
	var commit, modified string
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				modified = ", modified"
			}
		}
	}
	if commit == "" {
		return ""
	}
	return fmt.Sprintf(" (commit %.12s%s)", commit, modified)
}

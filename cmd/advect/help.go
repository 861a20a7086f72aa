package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// newParser builds the parser of the command line.
func newParser(std *streams) (*kong.Kong, error) {
	return kong.New(new(cli),
		kong.Name("advect"),
		kong.Description(description),
		kong.Writers(std.out, std.err),
		kong.ConfigureHelp(kong.HelpOptions{
			Compact: true, FlagsLast: true, WrapUpperBound: 120,
		}),
		kong.ValueFormatter(explain),
		kong.PostBuild(bindEnvironment),
		kong.Bind(std),
	)
}

// envName is the environment variable of a setting.
func envName(setting string) string {
	return "ADVECT_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// bindEnvironment gives the flags that are settings, which is those with a yaml
// tag, their environment variables. An empty variable is the same as none.
func bindEnvironment(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			flag.Envs = nil
			if name := variable(flag.Value); os.Getenv(name) != "" {
				flag.Envs = []string{name}
			}
			flag.Tag.Envs = flag.Envs
		}
		return next(nil)
	})
}

// variable returns the environment variable of a flag, or "".
func variable(flag *kong.Value) string {
	if setting := flag.Tag.Get("yaml"); setting != "" {
		return envName(setting)
	}
	return flag.Tag.Get("env")
}

// explain adds default and environment variable to the help of a flag.
func explain(flag *kong.Value) string {
	var notes []string
	for _, s := range describe(defaults()) {
		if s.Name == flag.Tag.Get("yaml") {
			notes = append(notes, "Default: "+s.DefaultText)
		}
	}
	if flag.Default != "" {
		notes = append(notes, "Default: "+flag.Default)
	}
	if name := variable(flag); name != "" {
		notes = append(notes, "$"+name)
	}
	if len(notes) == 0 {
		return flag.Help
	}
	return fmt.Sprintf("%s (%s)", strings.TrimSuffix(flag.Help, "."), strings.Join(notes, "; "))
}

// strayVariables returns those of an environment that look like settings but
// are none, nor anything else that this program reads.
func strayVariables(environ []string) []string {
	known := []string{"ADVECT_CONFIG", "ADVECT_URL", "ADVECT_PRINCIPAL", "ADVECT_PASSWORD"}
	for _, s := range describe(defaults()) {
		known = append(known, envName(s.Name))
	}
	var stray []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "ADVECT_") && !slices.Contains(known, name) {
			stray = append(stray, name)
		}
	}
	return stray
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"advect.dev"
)

type securityCmd struct {
	Show        securityShowCmd        `cmd:"" help:"Show principals and roles."`
	Apply       securityApplyCmd       `cmd:"" help:"Change principals or roles by a script."`
	Permissions securityPermissionsCmd `cmd:"" help:"Show what the own session may do."`
}

func (*securityCmd) Help() string { return securityHelp }

type securityShowCmd struct {
	Store  string     `arg:"" optional:"" enum:"principals,roles,all" default:"all" help:"principals, roles or all."`
	JSON   bool       `name:"json" help:"A JSON object for each store."`
	Server connection `embed:""`
}

func (*securityShowCmd) Help() string { return securityHelp }

// Run shows the stores.
func (c *securityShowCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		if c.Store != "roles" {
			store, err := session.Security().PrincipalStore(ctx)
			if err == nil {
				err = c.principals(std.out, store)
			}
			if err != nil {
				return err
			}
		}
		if c.Store != "principals" {
			store, err := session.Security().RoleStore(ctx)
			if err == nil {
				err = c.roles(std.out, store)
			}
			return err
		}
		return nil
	})
}

// principals prints the store as lines like those of its scripts, of which passwords
// are missing.
func (c *securityShowCmd) principals(w io.Writer, store *advect.PrincipalStore) error {
	if c.JSON {
		return printLine(w, principalsLine(store))
	}
	var b strings.Builder
	b.WriteString("# Principals. Passwords cannot be read.\n")
	for _, p := range store.Principals {
		fmt.Fprintf(&b, "principal %s %s%s\n", advect.FilterString(p.Name), list(p.Roles), lockedBy(p.LockedBy))
	}
	fmt.Fprintf(&b, "%s anonymous connections", strings.ToLower(store.Anonymous.String()))
	if store.Anonymous == advect.AllowAnonymous {
		b.WriteString(" " + list(store.AnonymousRoles))
	}
	b.WriteString("\n")
	for _, key := range slices.Sorted(maps.Keys(store.Trusted)) {
		fmt.Fprintf(&b, "trust client proposed property %s if value ", advect.FilterString(key))
		if v := store.Trusted[key]; v.Values != nil {
			fmt.Fprintf(&b, "in %s\n", list(v.Values))
		} else {
			fmt.Fprintf(&b, "matches %s\n", advect.FilterString(v.Regex))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *securityShowCmd) roles(w io.Writer, store *advect.RoleStore) error {
	if c.JSON {
		return printLine(w, rolesLine(store))
	}
	separator := ""
	if c.Store == "all" {
		separator = "\n# Roles\n"
	}
	_, err := io.WriteString(w, separator+store.Script())
	return err
}

func list(texts []string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = advect.FilterString(s)
	}
	return "[" + strings.Join(quoted, " ") + "]"
}

func lockedBy(principal string) string {
	if principal == "" {
		return ""
	}
	return " locked by " + advect.FilterString(principal)
}

type securityApplyCmd struct {
	Store  string     `arg:"" enum:"principals,roles" help:"principals or roles."`
	Script string     `arg:"" help:"File with the script; - reads it from standard input."`
	Server connection `embed:""`
}

func (*securityApplyCmd) Help() string { return securityHelp }

// Run applies a script: all of it or nothing.
func (c *securityApplyCmd) Run(std *streams) error {
	script, name, err := c.script(std.in)
	if err != nil {
		return err
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		update := session.Security().UpdateRoleStore
		if c.Store == "principals" {
			update = session.Security().UpdatePrincipalStore
		}
		err := update(ctx, script)
		var problems *advect.ScriptError
		if !errors.As(err, &problems) {
			return err
		}
		for _, r := range problems.Reports {
			fmt.Fprintf(std.err, "%s:%s\n", name, r)
		}
		return fmt.Errorf("the %s are as they were: %d mistakes in the script", c.Store, len(problems.Reports))
	})
}

func (c *securityApplyCmd) script(in io.Reader) (script, name string, err error) {
	var text []byte
	if name = c.Script; name == "-" {
		name = "stdin"
		text, err = io.ReadAll(in)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return "", "", &usageError{fmt.Errorf("read script: %w", err)}
	}
	return string(text), name, nil
}

type securityPermissionsCmd struct {
	Path   string     `arg:"" optional:"" help:"Also show the permissions for this path."`
	Server connection `embed:""`
}

func (*securityPermissionsCmd) Help() string { return securityHelp }

// Run shows the permissions of the session that the command opens.
func (c *securityPermissionsCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		global, err := session.Security().GlobalPermissions(ctx)
		if err != nil {
			return err
		}
		for _, p := range global {
			fmt.Fprintln(std.out, p)
		}
		if c.Path == "" {
			return nil
		}
		path, err := session.Security().PathPermissions(ctx, c.Path)
		if err != nil {
			return err
		}
		for _, p := range path {
			fmt.Fprintf(std.out, "%s %s\n", p, oneLine(c.Path))
		}
		return nil
	})
}

// The stores in JSON.
type (
	principalsJSON struct {
		Principals     []principalJSON           `json:"principals"`
		Anonymous      string                    `json:"anonymous"`
		AnonymousRoles []string                  `json:"anonymousRoles"`
		Trusted        map[string]validationJSON `json:"trusted,omitempty"`
	}
	principalJSON struct {
		Name     string   `json:"name"`
		Roles    []string `json:"roles"`
		LockedBy string   `json:"lockedBy,omitempty"`
	}
	validationJSON struct {
		Values []string `json:"values,omitempty"`
		Regex  string   `json:"regex,omitempty"`
	}
	rolesJSON struct {
		AnonymousRoles []string   `json:"anonymousRoles"`
		NamedRoles     []string   `json:"namedRoles"`
		Roles          []roleJSON `json:"roles"`
		IsolatedPaths  []string   `json:"isolatedPaths"`
	}
	roleJSON struct {
		Name     string              `json:"name"`
		Global   []string            `json:"global"`
		Default  []string            `json:"default"`
		Paths    map[string][]string `json:"paths,omitempty"`
		Includes []string            `json:"includes,omitempty"`
		LockedBy string              `json:"lockedBy,omitempty"`
	}
)

func principalsLine(store *advect.PrincipalStore) principalsJSON {
	line := principalsJSON{
		Principals: []principalJSON{}, Anonymous: store.Anonymous.String(), AnonymousRoles: append([]string{}, store.AnonymousRoles...),
		Trusted: make(map[string]validationJSON),
	}
	for _, p := range store.Principals {
		line.Principals = append(line.Principals, principalJSON{p.Name, append([]string{}, p.Roles...), p.LockedBy})
	}
	for key, v := range store.Trusted {
		line.Trusted[key] = validationJSON{v.Values, v.Regex}
	}
	return line
}

func rolesLine(store *advect.RoleStore) rolesJSON {
	line := rolesJSON{
		AnonymousRoles: append([]string{}, store.AnonymousRoles...), NamedRoles: append([]string{}, store.NamedRoles...),
		Roles: []roleJSON{}, IsolatedPaths: append([]string{}, store.IsolatedPaths...),
	}
	for _, r := range store.Roles {
		role := roleJSON{
			Name: r.Name, Global: names(r.Global), Default: names(r.Default), Paths: make(map[string][]string),
			Includes: r.Includes, LockedBy: r.LockedBy,
		}
		for path, permissions := range r.Paths {
			role.Paths[path] = names(permissions)
		}
		line.Roles = append(line.Roles, role)
	}
	return line
}

func names[P fmt.Stringer](list []P) []string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return texts
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
)

type configCmd struct {
	Print configPrintCmd `cmd:"" help:"Print the effective configuration, with the meaning, unit and default of every setting."`
}

type configPrintCmd struct {
	Format   string   `enum:"yaml,json" default:"yaml" placeholder:"yaml|json" help:"Form of the output; yaml is a configuration file."`
	Config   string   `placeholder:"FILE" env:"ADVECT_CONFIG" help:"YAML file with settings, as serve takes it."`
	Settings settings `embed:""`
}

func (*configPrintCmd) Help() string { return configHelp }

// Run prints what serve would use.
func (c *configPrintCmd) Run(std *streams) error {
	cfg, err := c.Settings.load(c.Config)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return printJSON(std.out, describe(cfg))
	}
	return printYAML(std.out, describe(cfg))
}

func printYAML(w io.Writer, list []setting) error {
	fmt.Fprintln(w, "# Settings of advect serve. Flags have the same names; environment variables are ADVECT_ and the")
	fmt.Fprintln(w, "# name in capitals, as in ADVECT_DATA_DIR. A flag goes before the environment, that before this file.")
	group := ""
	for _, s := range list {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(w, "\n### %s\n", group)
		}
		for _, line := range wrap(fmt.Sprintf("%s %s, default: %s.", s.Help, s.Unit, s.DefaultText), 98) {
			fmt.Fprintln(w, "#", line)
		}
		fmt.Fprintf(w, "%s: %s\n", s.Name, yamlText(s.Value))
	}
	return nil
}

// yamlText is the value of a setting in a configuration file. JSON text is YAML
// too, and unlike plain text it is never taken for something else.
func yamlText(v any) string {
	switch v := v.(type) {
	case string:
		return string(quoted(v))
	case []string:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = string(quoted(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// printJSON prints an object of settings by name, in their order.
func printJSON(w io.Writer, list []setting) error {
	type entry struct {
		Value       any    `json:"value"`
		Default     any    `json:"default"`
		Unit        string `json:"unit"`
		Environment string `json:"environment"`
		Meaning     string `json:"meaning"`
	}
	for i, s := range list {
		text, err := json.Marshal(entry{orEmpty(s.Value), orEmpty(s.Default), s.Unit, envName(s.Name), s.Help})
		if err != nil {
			return fmt.Errorf("print %s: %w", s.Name, err)
		}
		before, after := ",\n", ""
		if i == 0 {
			before = "{\n"
		}
		if i == len(list)-1 {
			after = "\n}\n"
		}
		fmt.Fprintf(w, "%s  %q: %s%s", before, s.Name, text, after)
	}
	return nil
}

// orEmpty makes a list without elements [] rather than null.
func orEmpty(v any) any {
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice && r.IsNil() {
		return []string{}
	}
	return v
}

// wrap breaks text into lines of at most width characters, words permitting.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

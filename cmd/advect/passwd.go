package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"advect.dev/internal/security"
)

type passwdCmd struct {
	Principal string  `arg:"" help:"Whose password."`
	DataDir   *string `yaml:"data-dir" placeholder:"DIR" help:"Data directory of the server."`
	Config    string  `placeholder:"FILE" env:"ADVECT_CONFIG" help:"Configuration file of the server, for its data-dir."`
	Stdin     bool    `help:"Read the password from standard input, one line, instead of asking for it."`
}

func (*passwdCmd) Help() string { return passwdHelp }

// Run changes the password in the data directory.
func (c *passwdCmd) Run(std *streams) error {
	set := settings{DataDir: c.DataDir}
	cfg, err := set.load(c.Config)
	if err != nil {
		return err
	}
	if cfg.DataDir == "" {
		return &usageError{errors.New("data-dir is empty: a server without a data directory forgets passwords when it stops. Try: --data-dir DIR")}
	}
	store, err := security.OpenStore(cfg.DataDir)
	if err != nil {
		return err
	}
	if err := known(store, c.Principal); err != nil {
		return err
	}
	password, err := c.read(std)
	if err != nil {
		return err
	}
	if err := store.SetPassword(c.Principal, password); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "The password of %s is changed in %s.\n", c.Principal, store.Path())
	if left := store.StockPasswords(); len(left) > 0 {
		fmt.Fprintf(std.out, "Still with the stock password: %s.\n", strings.Join(left, ", "))
	}
	return nil
}

// known returns an error that names the principals if there is no such one.
func known(store *security.Store, principal string) error {
	var names []string
	for _, p := range store.Principals() {
		if p.Name == principal {
			return nil
		}
		names = append(names, p.Name)
	}
	return fmt.Errorf("%w: %s. Principals in %s: %s", security.ErrNoSuchPrincipal, principal, store.Path(), strings.Join(names, ", "))
}

func (c *passwdCmd) read(std *streams) ([]byte, error) {
	if c.Stdin {
		return readLine(std.in)
	}
	terminal, ok := std.in.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return nil, &usageError{errors.New("standard input is no terminal. Try: --stdin, to read the password from it")}
	}
	first, err := ask(std.err, terminal, "New password: ")
	if err != nil {
		return nil, err
	}
	second, err := ask(std.err, terminal, "Again: ")
	if err != nil {
		return nil, err
	}
	if string(first) != string(second) {
		return nil, errors.New("the passwords differ; nothing was changed")
	}
	return first, nil
}

// ask prompts for a password that is not shown.
func ask(prompt io.Writer, terminal *os.File, text string) ([]byte, error) {
	fmt.Fprint(prompt, text)
	defer fmt.Fprintln(prompt)
	password, err := term.ReadPassword(int(terminal.Fd()))
	if err != nil {
		return nil, fmt.Errorf("read password: %w", err)
	}
	return password, nil
}

// readLine returns the first line of r without its end.
func readLine(r io.Reader) ([]byte, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read password: %w", err)
	}
	return []byte(strings.TrimRight(line, "\r\n")), nil
}

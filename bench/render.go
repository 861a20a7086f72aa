package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The lines of a document between which the results go.
const (
	beginMark = "<!-- peers -->\n"
	endMark   = "<!-- end of peers -->\n"
)

// renderFile prints the report in a JSON file as Markdown or, if doc is given,
// writes it into that document, and the plots into the folder of its name.
func renderFile(w io.Writer, path, doc string) error {
	r, err := readReport(path)
	if err != nil {
		return err
	}
	if doc == "" {
		return r.markdown(w, path)
	}
	folder := strings.TrimSuffix(doc, filepath.Ext(doc))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	plots := r.plots()
	for i := range plots {
		if err := os.WriteFile(filepath.Join(folder, plots[i].file), []byte(plots[i].svg), 0o644); err != nil {
			return err
		}
		plots[i].file = filepath.Base(folder) + "/" + plots[i].file // as the document refers to it
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	before, rest, ok1 := bytes.Cut(text, []byte(beginMark))
	_, after, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q", doc, beginMark, endMark)
	}
	out := bytes.NewBuffer(before[:len(before):len(before)])
	out.WriteString(beginMark)
	if err := r.markdown(out, path, plots...); err != nil {
		return err
	}
	out.WriteString(endMark)
	out.Write(after)
	return os.WriteFile(doc, out.Bytes(), 0o644)
}

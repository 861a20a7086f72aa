package security

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// StoreFile is the name of the system authentication store in the data
// directory.
const StoreFile = "SystemAuthentication.store"

// maxFileSize bounds the store file, in bytes; larger ones are refused.
const maxFileSize = 64 << 20

const (
	fileTitle      = "# Advect system authentication store. Change passwords with: advect passwd\n"
	checksumPrefix = "# sha256 "
	checksumHint   = " of all that follows. Delete this line after an edit by hand."
)

const (
	remedyStatement = "correct the line, or restore the file from a backup; moved away, it is replaced by the stock principals with their public passwords"
	remedyChecksum  = "restore it from a backup, or, if you edited it on purpose, check the content and delete this line"
)

// FileError reports a store file that cannot be used. It names the place and
// says what to do; the store never goes on without the file. Line and Column
// count from 1.
type FileError struct {
	Path    string
	Line    int
	Column  int
	Problem string
	Remedy  string
}

// Error returns everything in one line.
func (e *FileError) Error() string {
	return fmt.Sprintf("%s: line %d, column %d: %s; %s", e.Path, e.Line, e.Column, e.Problem, e.Remedy)
}

// scriptFileError gives the errors of a script the name of their file.
func scriptFileError(path string, err error) error {
	var errs ScriptErrors
	if !errors.As(err, &errs) {
		return err
	}
	problem := errs[0].Message
	if len(errs) > 1 {
		problem = fmt.Sprintf("%s (and %d more errors)", problem, len(errs)-1)
	}
	return &FileError{Path: path, Line: errs[0].Line, Column: errs[0].Column, Problem: problem, Remedy: remedyStatement}
}

// encodeFile puts the checksum in front of the script, so that a file that
// was cut off cannot lose it.
func encodeFile(script string) []byte {
	sum := sha256.Sum256([]byte(script))
	return []byte(fileTitle + checksumPrefix + hex.EncodeToString(sum[:]) + checksumHint + "\n" + script)
}

// decodeFile returns the statements of a store file, and whether it has a
// checksum, which then is right.
func decodeFile(path string, data []byte) (statements []statement, summed bool, err error) {
	text := string(data)
	statements, err = parseScript(text)
	if err != nil {
		return nil, false, scriptFileError(path, err)
	}
	line := 0
	for rest := text; rest != ""; {
		var first string
		first, rest, _ = strings.Cut(rest, "\n")
		line++
		sum, found := strings.CutPrefix(first, checksumPrefix)
		if !found {
			continue
		}
		sum, _, _ = strings.Cut(sum, " ")
		if got := sha256.Sum256([]byte(rest)); sum != hex.EncodeToString(got[:]) {
			return nil, false, &FileError{Path: path, Line: line, Column: 1, Remedy: remedyChecksum,
				Problem: "the content does not match this checksum, so the file is damaged or was edited by hand"}
		}
		summed = true
		break
	}
	if len(statements) == 0 {
		return nil, false, &FileError{Path: path, Line: 1, Column: 1, Remedy: remedyStatement,
			Problem: "the file has no statement, so it is empty or was cut off"}
	}
	return statements, summed, nil
}

// disk is the part of the file system that the store uses. Tests make it
// fail.
type disk interface {
	MkdirAll(dir string) error
	Stat(path string) (fs.FileInfo, error)
	// Read returns the content and the description of one and the same file,
	// even if it is being replaced.
	Read(path string) ([]byte, fs.FileInfo, error)
	// CreateTemp makes a file that only the user may read.
	CreateTemp(dir, pattern string) (tempFile, error)
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
}

type tempFile interface {
	io.WriteCloser
	Name() string
	Sync() error
	Stat() (fs.FileInfo, error)
}

// replaceFile writes path so that, whatever fails, it holds the old content
// or the new one. It returns the description of the new file.
func replaceFile(d disk, path string, data []byte) (fs.FileInfo, error) {
	dir := filepath.Dir(path)
	f, err := d.CreateTemp(dir, "."+StoreFile+".*")
	if err != nil {
		return nil, err
	}
	info, err := fill(f, data)
	if err == nil {
		err = d.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(err, d.Remove(f.Name()))
	}
	if err := d.SyncDir(dir); err != nil {
		return nil, err
	}
	return info, nil
}

// fill writes, syncs and closes f.
func fill(f tempFile, data []byte) (info fs.FileInfo, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err = f.Write(data); err != nil {
		return nil, err
	}
	if err = f.Sync(); err != nil {
		return nil, err
	}
	return f.Stat()
}

// sameFile reports whether a file is still as it was when info was taken.
func sameFile(info, was fs.FileInfo) bool {
	return was != nil && os.SameFile(info, was) && info.Size() == was.Size() && info.ModTime().Equal(was.ModTime())
}

// osDisk is the real file system.
type osDisk struct{}

func (osDisk) MkdirAll(dir string) error             { return os.MkdirAll(dir, 0o700) }
func (osDisk) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }
func (osDisk) Rename(from, to string) error          { return os.Rename(from, to) }
func (osDisk) Remove(path string) error              { return os.Remove(path) }

func (osDisk) Read(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > maxFileSize {
		return nil, nil, fmt.Errorf("the file is larger than %d MiB, so it is no authentication store", maxFileSize>>20)
	}
	return data, info, nil
}

func (osDisk) CreateTemp(dir, pattern string) (tempFile, error) {
	f, err := os.CreateTemp(dir, pattern) // mode 0600
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osDisk) SyncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such operation
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

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

// The names of the stores in the data directory.
const (
	StoreFile       = "SystemAuthentication.store"
	PolicyStoreFile = "Security.store"
)

// maxFileSize bounds a store file, in bytes; larger ones are neither read nor
// written.
const maxFileSize = 64 << 20

const (
	checksumPrefix = "# sha256 "
	checksumHint   = " of all that follows. Delete this line after an edit by hand."
	remedyChecksum = "restore it from a backup, or, if you edited it on purpose, check the content and delete this line"
)

// fileKind is what tells the files of the two stores apart.
type fileKind struct {
	name   string
	title  string // first line
	remedy string // for a line that is wrong
}

var principalFile = fileKind{
	name:   StoreFile,
	title:  "# Advect system authentication store. Change passwords with: advect passwd\n",
	remedy: "correct the line, or restore the file from a backup; moved away, it is replaced by the stock principals with their public passwords",
}

var policyFile = fileKind{
	name:   PolicyStoreFile,
	title:  "# Advect security store: the roles and their permissions.\n",
	remedy: "correct the line, or restore the file from a backup; moved away, it is replaced by the stock roles",
}

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

// storeFile is the file of one store. Its methods are called with the lock of
// the store held.
type storeFile struct {
	fileKind
	path string // empty: the store is in memory only
	disk disk
	info fs.FileInfo // of the file as it was when the content of the store was read or written
}

func newStoreFile(dir string, kind fileKind) storeFile {
	f := storeFile{fileKind: kind, disk: osDisk{}}
	if dir != "" {
		f.path = filepath.Join(dir, kind.name)
	}
	return f
}

// open makes the directory and reads the file. found is false if there is
// none, or none to be.
func (f *storeFile) open() (data []byte, info fs.FileInfo, found bool, err error) {
	if f.path == "" {
		return nil, nil, false, nil
	}
	if err := f.disk.MkdirAll(filepath.Dir(f.path)); err != nil {
		return nil, nil, false, err
	}
	data, info, err = f.disk.Read(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, false, nil
	}
	return data, info, err == nil, err
}

// changed reads the file if it is no longer the one of info.
func (f *storeFile) changed() (data []byte, info fs.FileInfo, changed bool, err error) {
	if f.path == "" {
		return nil, nil, false, nil
	}
	if info, err = f.disk.Stat(f.path); err != nil || sameFile(info, f.info) {
		return nil, nil, false, err
	}
	data, info, err = f.disk.Read(f.path)
	return data, info, err == nil, err
}

// write makes script durable.
func (f *storeFile) write(script string) error {
	if f.path == "" {
		return nil
	}
	data := f.encode(script)
	if len(data) > maxFileSize {
		return fmt.Errorf("write %s: it would be larger than %d MiB and could not be read again", f.path, maxFileSize>>20)
	}
	info, err := replaceFile(f.disk, f.path, data)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.info = info
	return nil
}

// encode puts the checksum in front of the script, so that a file that was
// cut off cannot lose it.
func (f *storeFile) encode(script string) []byte {
	sum := sha256.Sum256([]byte(script))
	return []byte(f.title + checksumPrefix + hex.EncodeToString(sum[:]) + checksumHint + "\n" + script)
}

// decodeFile returns the statements of a store file, and whether it has a
// checksum, which then is right.
func decodeFile[S any](f *storeFile, data []byte, parse func(string) ([]S, error)) (statements []S, summed bool, err error) {
	text := string(data)
	statements, err = parse(text)
	if err != nil {
		return nil, false, f.scriptError(err)
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
			return nil, false, &FileError{Path: f.path, Line: line, Column: 1, Remedy: remedyChecksum,
				Problem: "the content does not match this checksum, so the file is damaged or was edited by hand"}
		}
		summed = true
		break
	}
	if len(statements) == 0 {
		return nil, false, &FileError{Path: f.path, Line: 1, Column: 1, Remedy: f.remedy,
			Problem: "the file has no statement, so it is empty or was cut off"}
	}
	return statements, summed, nil
}

// scriptError gives the errors of a script the name of the file.
func (f *storeFile) scriptError(err error) error {
	var errs ScriptErrors
	if !errors.As(err, &errs) {
		return err
	}
	problem := errs[0].Message
	if len(errs) > 1 {
		problem = fmt.Sprintf("%s (and %d more errors)", problem, len(errs)-1)
	}
	return &FileError{Path: f.path, Line: errs[0].Line, Column: errs[0].Column, Problem: problem, Remedy: f.remedy}
}

// disk is the part of the file system that the stores use. Tests make it
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
	f, err := d.CreateTemp(dir, "."+filepath.Base(path)+".*")
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
		return nil, nil, fmt.Errorf("the file is larger than %d MiB, so it is no store", maxFileSize>>20)
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

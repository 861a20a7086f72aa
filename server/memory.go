package server

import (
	"bytes"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// leastMaxMemory is the least that makes sense as Config.MaxMemory: an idle server
// takes some 20 MiB, and the hash of a password 19 MiB.
const leastMaxMemory = 64 << 20

// DefaultMaxMemory returns what MaxMemory is unless it is set: the limit of the Go
// runtime if it has one (GOMEMLIMIT), else three quarters of the memory of the
// machine, or of the container if that is less. 0, no limit, if none is known.
func DefaultMaxMemory() int {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return int(max(limit, leastMaxMemory))
	}
	have := availableMemory("/")
	if have == 0 {
		return 0
	}
	return max(have/4*3>>20<<20, leastMaxMemory)
}

// availableMemory returns the bytes that the process may use of what the system
// at root has, or 0 if that says nothing.
func availableMemory(root string) int {
	least := 0
	take := func(n int) {
		if n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	take(machineMemory(path.Join(root, "proc/meminfo")))
	groups, _ := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(groups)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		dir, file := "", ""
		switch {
		case id == "0" && controllers == "":
			dir, file = path.Join(root, "sys/fs/cgroup"), "memory.max"
		case strings.Contains(","+controllers+",", ",memory,"):
			dir, file = path.Join(root, "sys/fs/cgroup/memory"), "memory.limit_in_bytes"
		default:
			continue
		}
		// Each group above limits it too. A container sees its own as the root.
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			take(number(path.Join(dir, group, file)))
			if group == "/" {
				break
			}
		}
	}
	return least
}

// number reads a file with a number, or returns 0 if it has none, such as "max".
func number(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0
	}
	return n
}

func machineMemory(file string) int {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			fields := strings.Fields(rest)
			if len(fields) == 2 && fields[1] == "kB" {
				n, _ := strconv.Atoi(fields[0])
				return n * 1024
			}
		}
	}
	return 0
}

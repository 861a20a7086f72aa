package server

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAvailableMemory reads the files of machines and containers.
func TestAvailableMemory(t *testing.T) {
	const machine = "MemTotal:       2048 kB\nMemFree:         100 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int
	}{
		"nothing":          {nil, 0},
		"machine":          {map[string]string{"proc/meminfo": machine}, 2 << 20},
		"nonsense":         {map[string]string{"proc/meminfo": "MemTotal: many kB", "proc/self/cgroup": "::\n0\n0::/x\n"}, 0},
		"container":        {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20},
		"without limit":    {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 2 << 20},
		"larger":           {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "9999999999\n"}, 2 << 20},
		"limited above":    {map[string]string{"proc/self/cgroup": "0::/a.slice/b\n", "sys/fs/cgroup/a.slice/memory.max": "700000", "sys/fs/cgroup/a.slice/b/memory.max": "900000"}, 700000},
		"cgroup version 1": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n0::/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "800000"}, 800000},
		"outside":          {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/../../../x\n", "sys/fs/cgroup/x/memory.max": "1048576"}, 1 << 20},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			file = filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := availableMemory(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}

func TestDefaultMaxMemory(t *testing.T) {
	if n := DefaultMaxMemory(); n != 0 && n < leastMaxMemory {
		t.Errorf("%d bytes", n)
	}
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"
)

// gopsutil reports numbers of page faults multiplied by this.
const faultUnit = 4 << 10

// A Collector takes samples of the machine that it runs on. Not for concurrent use.
type Collector struct {
	system System
	before counters
	warn   func(part string, err error)
	warned map[string]bool
}

// counters are what only grows; the difference of two gives rates.
type counters struct {
	at       time.Time
	cpu      cpu.TimesStat
	cores    []cpu.TimesStat
	network  map[string]net.IOCountersStat
	devices  map[string]disk.IOCountersStat
	switches int
	memory   runtime.MemStats
}

// NewCollector takes the first counters, so that the rates of the first sample
// are those since this call. A part that this system does not tell is reported
// to warn, once, and is missing from the samples.
func NewCollector(name string, warn func(part string, err error)) (*Collector, error) {
	c := &Collector{warn: warn, warned: map[string]bool{}}
	c.system = System{Name: name, OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info, err := host.Info(); c.told("system", err) {
		c.system.Platform = strings.TrimSpace(info.Platform + " " + info.PlatformVersion)
		c.system.Kernel = info.KernelVersion
		c.system.BootTime = clamp(info.BootTime)
	}
	if info, err := cpu.Info(); c.told("CPU model", err) && len(info) > 0 {
		c.system.CPUModel = strings.Join(strings.Fields(info[0].ModelName), " ")
	}
	c.before = c.count()
	if len(c.before.cores) == 0 {
		return nil, fmt.Errorf("no CPU figures on %s", runtime.GOOS)
	}
	return c, nil
}

// Sample measures. Rates and CPU shares are averages since the sample before.
func (c *Collector) Sample() Sample {
	now := c.count()
	seconds := now.at.Sub(c.before.at).Seconds()
	s := Sample{
		Time:      now.at.UnixMilli(),
		System:    c.system,
		CPU:       cpuUse(c.before, now),
		Memory:    c.memory(),
		Swap:      c.swap(),
		Load:      c.load(),
		Processes: c.processes(),
		Network:   networkUse(c.before.network, now.network, seconds),
		Disks:     c.disks(),
		Devices:   deviceUse(c.before.devices, now.devices, seconds),
		Publisher: publisherUse(&c.before.memory, &now.memory, seconds),
	}
	s.Processes.SwitchRate = rate(uint64(c.before.switches), uint64(now.switches), seconds)
	if uptime, err := host.Uptime(); c.told("uptime", err) {
		s.System.Uptime = clamp(uptime)
	}
	c.before = now
	return s
}

// told reports whether a part could be measured, and warns the first time that it could not.
func (c *Collector) told(part string, err error) bool {
	if err != nil && !c.warned[part] {
		c.warned[part] = true
		c.warn(part, err)
	}
	return err == nil
}

func (c *Collector) count() counters {
	n := counters{at: time.Now(), network: map[string]net.IOCountersStat{}}
	if all, err := cpu.Times(false); c.told("CPU", err) && len(all) > 0 {
		n.cpu = all[0]
	}
	if cores, err := cpu.Times(true); c.told("CPU cores", err) {
		n.cores = cores
	}
	if interfaces, err := net.IOCounters(true); c.told("network", err) {
		for _, i := range interfaces {
			// Systems have many interfaces that never carry anything.
			if i.PacketsRecv+i.PacketsSent > 0 {
				n.network[i.Name] = i
			}
		}
	}
	if devices, err := disk.IOCounters(); c.told("disk devices", err) {
		n.devices = devices
	}
	if misc, err := load.Misc(); c.told("context switches", err) {
		n.switches = misc.Ctxt
	}
	runtime.ReadMemStats(&n.memory)
	return n
}

func (c *Collector) memory() (m Memory) {
	v, err := mem.VirtualMemory()
	if !c.told("memory", err) {
		return m
	}
	return Memory{
		Total: clamp(v.Total), Used: clamp(v.Used), Available: clamp(v.Available), Free: clamp(v.Free),
		Percent: round(v.UsedPercent), Cached: clamp(v.Cached), Buffers: clamp(v.Buffers),
		Active: clamp(v.Active), Inactive: clamp(v.Inactive), Shared: clamp(v.Shared), Slab: clamp(v.Slab),
		Mapped: clamp(v.Mapped), Dirty: clamp(v.Dirty), Committed: clamp(v.CommittedAS), PageTables: clamp(v.PageTables),
	}
}

func (c *Collector) swap() (s Swap) {
	v, err := mem.SwapMemory()
	if !c.told("swap", err) {
		return s
	}
	return Swap{
		Total: clamp(v.Total), Used: clamp(v.Used), Free: clamp(v.Free), Percent: round(v.UsedPercent),
		In: clamp(v.Sin), Out: clamp(v.Sout), PageFaults: clamp(v.PgFault / faultUnit), MajorFaults: clamp(v.PgMajFault / faultUnit),
	}
}

func (c *Collector) load() (l Load) {
	if v, err := load.Avg(); c.told("load", err) {
		l = Load{One: round(v.Load1), Five: round(v.Load5), Fifteen: round(v.Load15)}
	}
	return l
}

func (c *Collector) processes() (p Processes) {
	if pids, err := process.Pids(); c.told("processes", err) {
		p.Total = int64(len(pids))
	}
	if misc, err := load.Misc(); c.told("process states", err) {
		p.Running, p.Blocked = int64(misc.ProcsRunning), int64(misc.ProcsBlocked)
		p.Created, p.Switches = int64(misc.ProcsCreated), int64(misc.Ctxt)
	}
	return p
}

// disks returns the file systems on devices, each device once, by topic-safe mount point.
func (c *Collector) disks() map[string]Disk {
	partitions, err := disk.Partitions(false)
	if !c.told("file systems", err) || len(partitions) == 0 {
		partitions = []disk.PartitionStat{{Device: "root", Mountpoint: "/"}}
	}
	disks, seen := map[string]Disk{}, map[string]bool{}
	for _, p := range partitions {
		if seen[p.Device] || p.Fstype == "squashfs" {
			continue
		}
		u, err := disk.Usage(p.Mountpoint)
		if errors.Is(err, errors.ErrUnsupported) || !c.told("file system "+p.Mountpoint, err) || u.Total == 0 {
			continue
		}
		seen[p.Device] = true
		disks[segment(p.Mountpoint)] = Disk{
			Mount: p.Mountpoint, Device: p.Device, Type: cmp.Or(p.Fstype, u.Fstype),
			Total: clamp(u.Total), Used: clamp(u.Used), Free: clamp(u.Free), Percent: round(u.UsedPercent),
			Inodes: clamp(u.InodesTotal), InodesUsed: clamp(u.InodesUsed),
		}
	}
	return disks
}

func cpuUse(before, now counters) CPU {
	total := elapsed(before.cpu, now.cpu)
	share := func(before, now float64) float64 {
		if total <= 0 {
			return 0
		}
		return percent((now - before) / total)
	}
	a, b := before.cpu, now.cpu
	use := CPU{
		Count: int64(len(now.cores)), Total: busy(a, b),
		User: share(a.User, b.User), System: share(a.System, b.System), Nice: share(a.Nice, b.Nice),
		Idle: share(a.Idle, b.Idle), Wait: share(a.Iowait, b.Iowait), Interrupts: share(a.Irq+a.Softirq, b.Irq+b.Softirq),
		Stolen: share(a.Steal, b.Steal), Cores: make([]float64, len(now.cores)),
	}
	for i, core := range now.cores {
		if i < len(before.cores) {
			use.Cores[i] = busy(before.cores[i], core)
		}
	}
	return use
}

// elapsed is the CPU time between two measurements. Guest time is part of user time.
func elapsed(a, b cpu.TimesStat) float64 {
	sum := func(t cpu.TimesStat) float64 {
		return t.User + t.System + t.Idle + t.Nice + t.Iowait + t.Irq + t.Softirq + t.Steal
	}
	return sum(b) - sum(a)
}

func busy(a, b cpu.TimesStat) float64 {
	total := elapsed(a, b)
	if total <= 0 {
		return 0
	}
	return percent(1 - (b.Idle+b.Iowait-a.Idle-a.Iowait)/total)
}

func networkUse(before, now map[string]net.IOCountersStat, seconds float64) map[string]Interface {
	use := map[string]Interface{}
	for name, n := range now {
		b, ok := before[name]
		if !ok {
			b = n
		}
		use[segment(name)] = Interface{
			ReceiveRate: rate(b.BytesRecv, n.BytesRecv, seconds), SendRate: rate(b.BytesSent, n.BytesSent, seconds),
			Received: clamp(n.BytesRecv), Sent: clamp(n.BytesSent),
			PacketsIn: clamp(n.PacketsRecv), PacketsOut: clamp(n.PacketsSent),
			Errors: clamp(n.Errin + n.Errout), Drops: clamp(n.Dropin + n.Dropout),
		}
	}
	return use
}

func deviceUse(before, now map[string]disk.IOCountersStat, seconds float64) map[string]Device {
	use := map[string]Device{}
	for name, n := range now {
		if n.ReadCount+n.WriteCount == 0 || strings.HasPrefix(name, "loop") {
			continue
		}
		b, ok := before[name]
		if !ok {
			b = n
		}
		use[segment(name)] = Device{
			ReadRate: rate(b.ReadBytes, n.ReadBytes, seconds), WriteRate: rate(b.WriteBytes, n.WriteBytes, seconds),
			Read: clamp(n.ReadBytes), Written: clamp(n.WriteBytes),
			Reads: clamp(n.ReadCount), Writes: clamp(n.WriteCount), BusyMillis: clamp(n.IoTime),
		}
	}
	return use
}

func publisherUse(before, now *runtime.MemStats, seconds float64) Publisher {
	return Publisher{
		Goroutines: int64(runtime.NumGoroutine()), Heap: clamp(now.HeapAlloc), HeapObjects: clamp(now.HeapObjects),
		Reserved: clamp(now.Sys), AllocationRate: rate(before.TotalAlloc, now.TotalAlloc, seconds),
		Collections: int64(now.NumGC), PauseMicros: clamp(now.PauseTotalNs / 1000), GoVersion: runtime.Version(),
	}
}

// rate returns units per second; 0 when a counter was reset.
func rate(before, now uint64, seconds float64) int64 {
	if now < before || seconds <= 0 {
		return 0
	}
	return int64(math.Round(float64(now-before) / seconds))
}

// percent turns a share into a percentage; clocks that run unevenly may give shares outside 0 to 1.
func percent(share float64) float64 { return round(100 * min(max(share, 0), 1)) }

// round keeps two digits: more are noise, and make deltas larger.
func round(f float64) float64 { return math.Round(f*100) / 100 }

func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// segment makes a name one segment of a topic path: "/" is "root", "/var/log" is "var-log".
func segment(name string) string {
	name = strings.Trim(strings.NewReplacer("/", "-", `\`, "-", ":", "").Replace(name), "-")
	if name == "" {
		return "root"
	}
	return name
}

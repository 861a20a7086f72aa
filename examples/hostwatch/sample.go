package main

import (
	"strconv"

	"advect.dev/datatype"
)

// A Sample is the document that hostwatch publishes. Sizes are in bytes, rates
// in bytes per second, shares in percent.
type Sample struct {
	Time      int64                `json:"time"`  // milliseconds since 1970
	Round     int64                `json:"round"` // counts samples, from 1
	System    System               `json:"system"`
	CPU       CPU                  `json:"cpu"`
	Memory    Memory               `json:"memory"`
	Swap      Swap                 `json:"swap"`
	Load      Load                 `json:"load"`
	Processes Processes            `json:"processes"`
	Network   map[string]Interface `json:"network"`
	Disks     map[string]Disk      `json:"disks"`
	Devices   map[string]Device    `json:"devices"`
	Publisher Publisher            `json:"publisher"`
}

// System is what hardly ever changes.
type System struct {
	Name     string `json:"name"`
	OS       string `json:"os"`
	Platform string `json:"platform"`
	Kernel   string `json:"kernel"`
	Arch     string `json:"arch"`
	CPUModel string `json:"cpuModel"`
	BootTime int64  `json:"bootTime"` // seconds since 1970
	Uptime   int64  `json:"uptime"`   // seconds
}

// CPU is where the time of all processors went, in percent; Total is all but idle and waiting.
type CPU struct {
	Count      int64     `json:"count"`
	Total      float64   `json:"total"`
	User       float64   `json:"user"`
	System     float64   `json:"system"`
	Nice       float64   `json:"nice"`
	Wait       float64   `json:"wait"`
	Interrupts float64   `json:"interrupts"`
	Stolen     float64   `json:"stolen"`
	Idle       float64   `json:"idle"`
	Cores      []float64 `json:"cores"`
}

// Memory is the use of main memory.
type Memory struct {
	Total      int64   `json:"total"`
	Used       int64   `json:"used"`
	Available  int64   `json:"available"`
	Free       int64   `json:"free"`
	Percent    float64 `json:"percent"`
	Cached     int64   `json:"cached"`
	Buffers    int64   `json:"buffers"`
	Active     int64   `json:"active"`
	Inactive   int64   `json:"inactive"`
	Shared     int64   `json:"shared"`
	Slab       int64   `json:"slab"`
	Mapped     int64   `json:"mapped"`
	Dirty      int64   `json:"dirty"`
	Committed  int64   `json:"committed"`
	PageTables int64   `json:"pageTables"`
}

// Swap is the use of swap space. In, Out and the faults count since boot.
type Swap struct {
	Total       int64   `json:"total"`
	Used        int64   `json:"used"`
	Free        int64   `json:"free"`
	Percent     float64 `json:"percent"`
	In          int64   `json:"in"`
	Out         int64   `json:"out"`
	PageFaults  int64   `json:"pageFaults"`
	MajorFaults int64   `json:"majorFaults"`
}

// Load is the average number of processes that want to run, over 1, 5 and 15 minutes.
type Load struct {
	One     float64 `json:"one"`
	Five    float64 `json:"five"`
	Fifteen float64 `json:"fifteen"`
}

// Processes counts processes. Created and Switches count since boot.
type Processes struct {
	Total      int64 `json:"total"`
	Running    int64 `json:"running"`
	Blocked    int64 `json:"blocked"`
	Created    int64 `json:"created"`
	Switches   int64 `json:"switches"`
	SwitchRate int64 `json:"switchRate"` // per second
}

// Interface is the traffic of a network interface, in all and per second.
type Interface struct {
	ReceiveRate int64 `json:"receiveRate"`
	SendRate    int64 `json:"sendRate"`
	Received    int64 `json:"received"`
	Sent        int64 `json:"sent"`
	PacketsIn   int64 `json:"packetsIn"`
	PacketsOut  int64 `json:"packetsOut"`
	Errors      int64 `json:"errors"`
	Drops       int64 `json:"drops"`
}

// Disk is the use of a file system.
type Disk struct {
	Mount      string  `json:"mount"`
	Device     string  `json:"device"`
	Type       string  `json:"type"`
	Total      int64   `json:"total"`
	Used       int64   `json:"used"`
	Free       int64   `json:"free"`
	Percent    float64 `json:"percent"`
	Inodes     int64   `json:"inodes"`
	InodesUsed int64   `json:"inodesUsed"`
}

// Device is the traffic of a block device.
type Device struct {
	ReadRate   int64 `json:"readRate"`
	WriteRate  int64 `json:"writeRate"`
	Read       int64 `json:"read"`
	Written    int64 `json:"written"`
	Reads      int64 `json:"reads"`
	Writes     int64 `json:"writes"`
	BusyMillis int64 `json:"busyMillis"`
}

// Publisher is what hostwatch itself takes.
type Publisher struct {
	GoVersion      string `json:"goVersion"`
	Goroutines     int64  `json:"goroutines"`
	Heap           int64  `json:"heap"`
	HeapObjects    int64  `json:"heapObjects"`
	Reserved       int64  `json:"reserved"`
	AllocationRate int64  `json:"allocationRate"`
	Collections    int64  `json:"collections"`
	PauseMicros    int64  `json:"pauseMicros"`
}

// Values returns the figures that have topics of their own, by path below hostwatch/NAME.
func (s *Sample) Values() map[string]datatype.Value {
	values := map[string]datatype.Value{
		"system/platform":       datatype.String(s.System.Platform),
		"system/kernel":         datatype.String(s.System.Kernel),
		"system/cpu":            datatype.String(s.System.CPUModel),
		"system/uptime":         datatype.Int64(s.System.Uptime),
		"cpu/total":             datatype.Double(s.CPU.Total),
		"cpu/user":              datatype.Double(s.CPU.User),
		"cpu/system":            datatype.Double(s.CPU.System),
		"memory/used":           datatype.Int64(s.Memory.Used),
		"memory/available":      datatype.Int64(s.Memory.Available),
		"memory/percent":        datatype.Double(s.Memory.Percent),
		"swap/used":             datatype.Int64(s.Swap.Used),
		"load/1":                datatype.Double(s.Load.One),
		"load/5":                datatype.Double(s.Load.Five),
		"load/15":               datatype.Double(s.Load.Fifteen),
		"processes/total":       datatype.Int64(s.Processes.Total),
		"processes/running":     datatype.Int64(s.Processes.Running),
		"processes/switches":    datatype.Int64(s.Processes.SwitchRate),
		"publisher/heap":        datatype.Int64(s.Publisher.Heap),
		"publisher/goroutines":  datatype.Int64(s.Publisher.Goroutines),
		"publisher/allocations": datatype.Int64(s.Publisher.AllocationRate),
	}
	for i, share := range s.CPU.Cores {
		values["cpu/core/"+strconv.Itoa(i)] = datatype.Double(share)
	}
	for name, n := range s.Network {
		values["network/"+name+"/rx"] = datatype.Int64(n.ReceiveRate)
		values["network/"+name+"/tx"] = datatype.Int64(n.SendRate)
	}
	for name, d := range s.Disks {
		values["disk/"+name+"/used"] = datatype.Int64(d.Used)
		values["disk/"+name+"/percent"] = datatype.Double(d.Percent)
	}
	for name, d := range s.Devices {
		values["device/"+name+"/read"] = datatype.Int64(d.ReadRate)
		values["device/"+name+"/write"] = datatype.Int64(d.WriteRate)
	}
	return values
}

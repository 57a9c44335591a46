package bench

import (
	"context"
	"fmt"
	"time"
)

// cell is one way to ask, in which all programs are measured.
type cell struct {
	Name string
	// Needs says which programs can be asked so; nil for all.
	Needs func(target) bool
	// Measure asks through one program.
	Measure func(ctx context.Context, at target) (figures, error)
}

// figures are what one run through one program showed; what is not measured is zero.
type figures struct {
	TPS float64 `json:"tps,omitempty"`
	// CPU is the proxy's per transaction, connection or transfer; Others is what its
	// helpers used in the same time, per the same.
	CPU    time.Duration            `json:"cpu_ns,omitempty"`
	Others map[string]time.Duration `json:"others_ns,omitempty"`
	P50    time.Duration            `json:"p50_ns,omitempty"`
	P99    time.Duration            `json:"p99_ns,omitempty"`
	// Bytes is memory.
	Bytes int64 `json:"bytes,omitempty"`
}

// sample is one run.
type sample struct {
	Cell   string  `json:"cell"`
	Target string  `json:"target"`
	Round  int     `json:"round"`
	Of     figures `json:"figures"`
}

// measureAll runs every cell through every program, in rounds whose order rotates. Each
// run is told to progress.
func measureAll(ctx context.Context, targets []target, cells []cell, rounds int, progress func(string)) ([]sample, error) {
	var all []sample
	for round := range rounds {
		for _, c := range cells {
			for i := range targets {
				at := targets[(i+round)%len(targets)]
				if c.Needs != nil && !c.Needs(at) {
					continue
				}
				f, err := c.Measure(ctx, at)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.Name, err)
				}
				all = append(all, sample{Cell: c.Name, Target: at.Name, Round: round, Of: f})
				progress(fmt.Sprintf("round %d of %d: %s, %s: %s", round+1, rounds, c.Name, at.Name, f))
			}
		}
	}
	return all, nil
}

// String is for progress.
func (f figures) String() string {
	text := ""
	if f.TPS > 0 {
		text += fmt.Sprintf(" %.0f/s", f.TPS)
	}
	if f.CPU > 0 {
		text += fmt.Sprintf(" %.1f µs CPU", float64(f.CPU)/1e3)
	}
	if f.P50 > 0 {
		text += fmt.Sprintf(" p50 %v, p99 %v", f.P50, f.P99)
	}
	if f.Bytes > 0 {
		text += fmt.Sprintf(" %.1f MiB", float64(f.Bytes)/(1<<20))
	}
	return text
}

// meter reads what a program and its helpers have used.
type meter struct {
	at     target
	before map[int]time.Duration
}

func newMeter(at target) (meter, error) {
	m := meter{at: at, before: map[int]time.Duration{}}
	for _, pid := range m.pids() {
		used, err := cpu(pid)
		if err != nil {
			return m, err
		}
		m.before[pid] = used
	}
	return m, nil
}

func (m meter) pids() []int {
	var all []int
	if m.at.PID != 0 {
		all = append(all, m.at.PID)
	}
	for _, pid := range m.at.Others {
		all = append(all, pid)
	}
	return all
}

// read fills in what was used since, per each of n.
func (m meter) read(f *figures, n int) error {
	used := func(pid int) (time.Duration, error) {
		now, err := cpu(pid)
		return (now - m.before[pid]) / time.Duration(max(n, 1)), err
	}
	var err error
	if m.at.PID != 0 {
		if f.CPU, err = used(m.at.PID); err != nil {
			return err
		}
	}
	f.Others = map[string]time.Duration{}
	for name, pid := range m.at.Others {
		if f.Others[name], err = used(pid); err != nil {
			return err
		}
	}
	return nil
}

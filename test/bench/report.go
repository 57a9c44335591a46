package bench

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report is a whole run.
type report struct {
	Samples         []sample
	Rounds, Seconds int
}

// reference is the program that ratios are to.
const reference = "pgbouncer"

// spread is a figure's median, least and greatest over the rounds.
type spread struct{ median, least, greatest float64 }

func (r report) spread(cell, target string, of func(figures) float64) (spread, bool) {
	var all []float64
	for _, s := range r.Samples {
		if v := of(s.Of); s.Cell == cell && s.Target == target && v > 0 {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return spread{}, false
	}
	slices.Sort(all)
	return spread{all[len(all)/2], all[0], all[len(all)-1]}, true
}

// ratio is the median of the rounds' ratios to the reference.
func (r report) ratio(cell, target string, of func(figures) float64) (float64, bool) {
	base := map[int]float64{}
	for _, s := range r.Samples {
		if s.Cell == cell && s.Target == reference {
			base[s.Round] = of(s.Of)
		}
	}
	var all []float64
	for _, s := range r.Samples {
		if v := of(s.Of); s.Cell == cell && s.Target == target && v > 0 && base[s.Round] > 0 {
			all = append(all, v/base[s.Round])
		}
	}
	if len(all) == 0 || target == reference {
		return 0, false
	}
	slices.Sort(all)
	return all[len(all)/2], true
}

func micros(of func(figures) time.Duration) func(figures) float64 {
	return func(f figures) float64 { return float64(of(f)) / 1e3 }
}

var (
	tpsOf = func(f figures) float64 { return f.TPS }
	cpuOf = micros(func(f figures) time.Duration { return f.CPU })
	p50Of = micros(func(f figures) time.Duration { return f.P50 })
	p99Of = micros(func(f figures) time.Duration { return f.P99 })
	mibOf = func(f figures) float64 { return float64(f.Bytes) / (1 << 20) }
)

// markdown is the table of all figures.
func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians over %d rounds (least–greatest), %d s each. CPU is the proxy's own, in µs per transaction, connection or transfer; ÷ is the median\n"+
		"of the rounds' ratios to %s. Helpers are Scopewire's other processes, in µs per the same.\n\n", r.Rounds, r.Seconds, reference)
	b.WriteString("| cell | through | per second | CPU µs | ÷ | p50 µs | p99 µs | MiB | helpers µs |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range r.names(func(s sample) string { return s.Cell }) {
		for _, at := range r.names(func(s sample) string { return s.Target }) {
			if !slices.ContainsFunc(r.Samples, func(s sample) bool { return s.Cell == c && s.Target == at }) {
				continue
			}
			one := func(format string, of func(figures) float64) string {
				v, found := r.spread(c, at, of)
				if !found {
					return ""
				}
				return fmt.Sprintf(format, v.median)
			}
			used := ""
			if v, found := r.spread(c, at, cpuOf); found {
				used = fmt.Sprintf("%.1f (%.1f–%.1f)", v.median, v.least, v.greatest)
			}
			ratio := ""
			if v, found := r.ratio(c, at, cpuOf); found {
				ratio = fmt.Sprintf("%.2f", v)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", c, at, one("%.0f", tpsOf), used, ratio,
				one("%.0f", p50Of), one("%.0f", p99Of), one("%.1f", mibOf), r.helpers(c, at))
		}
	}
	return b.String()
}

// helpers are the medians of what the other processes used.
func (r report) helpers(cell, target string) string {
	names := map[string]bool{}
	for _, s := range r.Samples {
		if s.Cell == cell && s.Target == target {
			for name := range s.Of.Others {
				names[name] = true
			}
		}
	}
	var all []string
	for name := range names {
		if v, found := r.spread(cell, target, micros(func(f figures) time.Duration { return f.Others[name] })); found {
			all = append(all, fmt.Sprintf("%s %.1f", name, v.median))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// names are what the samples are called, in the order of their first one.
func (r report) names(of func(sample) string) []string {
	var all []string
	for _, s := range r.Samples {
		if name := of(s); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// write keeps report, figures and chart in a folder.
func (r report) write(dir string) error {
	raw, err := json.MarshalIndent(r.Samples, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(dir, 0o755), //nolint:gosec // G301: documentation.
		os.WriteFile(filepath.Join(dir, "report.md"), []byte(r.markdown()), 0o644),                                  //nolint:gosec // G306: documentation.
		os.WriteFile(filepath.Join(dir, "figures.json"), append(raw, '\n'), 0o644),                                  //nolint:gosec // G306: documentation.
		os.WriteFile(filepath.Join(dir, "cpu.svg"), []byte(r.chart("Proxy CPU, µs per transaction", cpuOf)), 0o644), //nolint:gosec // G306: documentation.
		os.WriteFile(filepath.Join(dir, "p50.svg"), []byte(r.chart("Latency at the median, µs", p50Of)), 0o644),     //nolint:gosec // G306: documentation.
	)
}

// colours are the programs' in charts, in the order of the samples.
var colours = []string{"#8c8c8c", "#4c78a8", "#f58518", "#54a24b"} //nolint:gochecknoglobals // A table.

// chart draws the medians as bars, a group for each cell.
func (r report) chart(title string, of func(figures) float64) string {
	const (
		left, bar, gap, width = 230, 12, 10, 720
	)
	programs := r.names(func(s sample) string { return s.Target })
	var cells []string
	greatest := 0.0
	for _, c := range r.names(func(s sample) string { return s.Cell }) {
		if strings.HasPrefix(c, "bulk") || strings.HasPrefix(c, "connect") {
			continue
		}
		for _, at := range programs {
			if v, found := r.spread(c, at, of); found {
				greatest = max(greatest, v.median)
				if !slices.Contains(cells, c) {
					cells = append(cells, c)
				}
			}
		}
	}
	var b strings.Builder
	y := 50
	for _, c := range cells {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, y+bar, c)
		for i, at := range programs {
			v, found := r.spread(c, at, of)
			if !found {
				continue
			}
			length := (width - left - 60) * v.median / cmp.Or(greatest, 1)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%.1f</text>`+"\n",
				left, y, length, bar-1, colours[i%len(colours)], left+length+4, y+bar-2, v.median)
			y += bar
		}
		y += gap
	}
	var legend strings.Builder
	for i, at := range programs {
		fmt.Fprintf(&legend, `<rect x="%d" y="28" width="10" height="10" fill="%s"/><text x="%d" y="37">%s</text>`+"\n",
			left+i*110, colours[i%len(colours)], left+i*110+14, at)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="11">
<rect width="%[1]d" height="%[2]d" fill="white"/>
<text x="%[3]d" y="18" font-size="14">%[4]s</text>
%[5]s%[6]s</svg>
`, width, y+10, left, title, legend.String(), b.String())
}

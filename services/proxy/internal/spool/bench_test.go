package spool_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// BenchmarkStatement is what audit costs a statement: an intent of 400 bytes and its
// outcome. cpu-us/op is the CPU time of the whole process, the shipper's and the syncs'
// included.
func BenchmarkStatement(b *testing.B) {
	for _, mode := range []spool.Mode{spool.ModeGroup, spool.ModeStrict} {
		for _, writers := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/%d writers", mode, writers), func(b *testing.B) {
				s, err := tryOpen(spool.Config{Dir: b.TempDir(), Mode: mode, MaxBytes: 16 << 30}, nil)
				if err != nil {
					b.Fatal(err)
				}
				in := newIngest()
				in.down = true
				stop := run(s, in)
				defer stop()
				// RunParallel takes so many goroutines for each processor.
				b.SetParallelism((writers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				b.ReportAllocs()
				before := cpu(b)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						room, err := s.AppendIntent(event("0123456789abcdef", 350), false)
						if err != nil {
							b.Error(err)
							return
						}
						if err := s.AppendAfter(&auditv1.Event{EventId: []byte("0123456789abcdef"), Follows: []byte("0123456789abcdef")}, room); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.StopTimer()
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
			})
		}
	}
}

// cpu is the time that the process has spent on the processors.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

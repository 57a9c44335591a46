package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

// BenchmarkIngest delivers batches of 2500 events of 400 bytes, as large as a proxy makes
// them, from several proxies over the service's own contract, each batch acknowledged when
// it is on disk: what outages are drained with. cpu-us/event is the CPU time of both sides,
// the making of the events included.
func BenchmarkIngest(b *testing.B) {
	const batch = 2500
	for _, proxies := range []int{1, 4} {
		b.Run(fmt.Sprintf("%d proxies", proxies), func(b *testing.B) {
			s := serve(b, b.TempDir())
			done := make(chan error, proxies)
			b.ReportAllocs()
			before := cpu(b)
			b.ResetTimer()
			for p := range proxies {
				go func() { done <- deliver(s, fmt.Sprintf("eu-%d", p), b.N, batch) }()
			}
			for range proxies {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			events := float64(b.N * batch * proxies)
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/events, "cpu-us/event")
			s.stop()
		})
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

// deliver sends batches one after the other, as a proxy's shipper does.
func deliver(s served, instance string, batches, size int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := s.ingest.Append(ctx)
	if err != nil {
		return err
	}
	detail := string(bytes.Repeat([]byte("x"), 300))
	for n := range batches {
		r := &auditv1.AppendRequest{BatchId: uint64(n + 1), Instance: instance, SpoolEpoch: spool, FirstSequence: uint64(n*size + 1)}
		for i := range size {
			e := event(r.FirstSequence + uint64(i))
			e.Origin.Instance, e.ReasonDetail = instance, detail
			record, err := proto.Marshal(e)
			if err != nil {
				return err
			}
			r.Records = append(r.Records, record)
		}
		if err := stream.Send(r); err != nil {
			return err
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
	return stream.CloseSend()
}

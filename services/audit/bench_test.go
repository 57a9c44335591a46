package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

// BenchmarkIngest delivers batches of 512 events of 400 bytes from several proxies over the
// service's own contract, each batch acknowledged when it is on disk: what outages are
// drained with.
func BenchmarkIngest(b *testing.B) {
	const batch = 512
	for _, proxies := range []int{1, 4} {
		b.Run(fmt.Sprintf("%d proxies", proxies), func(b *testing.B) {
			s := serve(b, b.TempDir())
			done := make(chan error, proxies)
			b.ReportAllocs()
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
			b.ReportMetric(float64(b.N*batch*proxies)/b.Elapsed().Seconds(), "events/s")
			s.stop()
		})
	}
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

package session_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// TestLargeResults: of a result of any length, in rows of a mebibyte or in many short
// ones, nothing is held; with SCOPEWIRE_NIGHTLY set each has more than 2 GiB.
func TestLargeResults(t *testing.T) {
	megabytes := 64
	if nightly() {
		megabytes = 2200
	}
	database := dbname(t)
	for name, sql := range map[string]string{
		"long rows":  fmt.Sprintf("SELECT repeat('x', 1048576) FROM generate_series(1, %d)", megabytes),
		"short rows": fmt.Sprintf("SELECT repeat('x', 1024) FROM generate_series(1, %d)", megabytes<<10),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, database, unrecorded(t, database))
			r.client.run(q("SELECT 1"))
			before, most := heap(), uint64(0)
			r.client.send(q(sql))
			conn := r.client.conn
			head, buf, total, step := make([]byte, wire.HeaderLen), make([]byte, 64<<10), 0, 0
			for head[0] != wire.ReadyForQuery {
				if _, err := io.ReadFull(conn, head); err != nil {
					t.Fatal(err)
				}
				n := int(binary.BigEndian.Uint32(head[1:])) - 4
				if head[0] == wire.DataRow {
					total += n - 6
				}
				for n > 0 {
					part := buf[:min(n, len(buf))]
					if _, err := io.ReadFull(conn, part); err != nil {
						t.Fatal(err)
					}
					n -= len(part)
				}
				if total >= step {
					most, step = max(most, heap()), step+(16<<20)
				}
			}
			if total != megabytes<<20 {
				t.Errorf("%d bytes of values, want %d", total, megabytes<<20)
			}
			grown := int64(most) - int64(before) //nolint:gosec // G115: sizes of a heap.
			if grown > 512<<10 {
				t.Errorf("%d bytes more were held at most", grown)
			}
			t.Logf("%d MiB, %d KiB more were held at most", megabytes, grown>>10)
		})
	}
}

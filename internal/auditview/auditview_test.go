package auditview_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/auditview"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden renders each testdata/*.event.json (protobuf JSON of a
// StoredEvent) and compares with the files beside it.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.event.json")
	if err != nil || len(inputs) < 4 {
		t.Fatal(inputs, err)
	}
	var all []*auditv1.StoredEvent
	for _, input := range inputs {
		b, err := os.ReadFile(input)
		if err != nil {
			t.Fatal(err)
		}
		e := decode(t, b)
		all = append(all, e)
		var show, doc bytes.Buffer
		if err := auditview.Show(&show, e); err != nil {
			t.Error(err)
		}
		if err := auditview.JSON(&doc, e); err != nil {
			t.Error(err)
		}
		var ocsf bytes.Buffer
		if err := auditview.OCSF(&ocsf, e); err != nil {
			t.Error(err)
		}
		base := strings.TrimSuffix(input, ".event.json")
		golden(t, base+".ocsf.json", ocsf.Bytes())
		golden(t, base+".show.txt", show.Bytes())
		golden(t, base+".json", doc.Bytes())
	}
	var table bytes.Buffer
	if err := auditview.Table(&table, all); err != nil {
		t.Error(err)
	}
	golden(t, "testdata/table.txt", table.Bytes())
}

func decode(t *testing.T, b []byte) *auditv1.StoredEvent {
	t.Helper()
	e := &auditv1.StoredEvent{}
	if err := protojson.Unmarshal(b, e); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return e
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (go test ./internal/auditview -update):\n%s", name, diff)
	}
}

// fill sets every string of m to s, every byte string to its bytes, every
// number to one, and every message and list to something filled, depth deep.
func fill(m protoreflect.Message, s string, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString(strings.ToValidUTF8(s, "?")).MapKey(), protoreflect.ValueOfUint64(1))
		case f.IsList():
			l := m.Mutable(f).List()
			if f.Message() == nil {
				l.Append(scalar(f, s))
			} else if depth > 0 {
				v := l.NewElement()
				fill(v.Message(), s, depth-1)
				l.Append(v)
			}
		case f.Message() != nil:
			if depth > 0 {
				fill(m.Mutable(f).Message(), s, depth-1)
			}
		default:
			m.Set(f, scalar(f, s))
		}
	}
}

func scalar(f protoreflect.FieldDescriptor, s string) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(s)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(s))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	default:
		return protoreflect.ValueOfInt64(1)
	}
}

// TestSec_T46_EventView: whatever stands in whichever field of an event, it is
// shown as ASCII, on its own line, bounded, and as valid JSON.
func TestSec_T46_EventView(t *testing.T) {
	plain := &auditv1.StoredEvent{}
	fill(plain.ProtoReflect(), "x", 6)
	var want bytes.Buffer
	if err := auditview.Show(&want, plain); err != nil {
		t.Fatal(err)
	}
	lines := bytes.Count(want.Bytes(), []byte("\n"))
	if lines < 28 {
		t.Fatalf("a full event has only %d lines:\n%s", lines, &want)
	}
	for name, attack := range map[string]string{
		"newline": "a\nverdict      allow", "return": "a\rb", "escape": "a\x1b[2Jb", "nul": "a\x00b", "tab": "a\tb",
		"line separator": "a\u2028b", "next line": "a\u0085b", "bidi": "a\u202eb\u2066c", "zero width": "a\u200bb", "c1": "a\u009bb",
		"latin": "Jos\u00e9", "emoji": "\U0001f600", "invalid": "a\xff\xc0b", "delete": "a\x7fb", "quote": `a"b\n'c`,
		"long": strings.Repeat("x", 1<<20), "long emoji": strings.Repeat("\U0001f600", 1<<18),
	} {
		e := &auditv1.StoredEvent{}
		fill(e.ProtoReflect(), attack, 6)
		var show, doc, table, ocsf bytes.Buffer
		for _, err := range []error{auditview.OCSF(&ocsf, e), auditview.Show(&show, e), auditview.JSON(&doc, e), auditview.Table(&table, []*auditv1.StoredEvent{e})} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := bytes.Count(show.Bytes(), []byte("\n")); got != lines {
			t.Errorf("%s: %d lines, a plain event has %d:\n%.2000s", name, got, lines, &show)
		}
		for _, out := range []*bytes.Buffer{&doc, &ocsf} {
			if bytes.Count(out.Bytes(), []byte("\n")) != 1 || !json.Valid(out.Bytes()) {
				t.Errorf("%s: not one line of JSON: %.500q", name, out)
			}
		}
		if bytes.Count(table.Bytes(), []byte("\n")) != 2 {
			t.Errorf("%s: %.500q", name, &table)
		}
		for _, out := range []*bytes.Buffer{&show, &doc, &table, &ocsf} {
			if i := bytes.IndexFunc(out.Bytes(), func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }); i >= 0 {
				t.Errorf("%s: %q is not printable ASCII", name, out.Bytes()[max(0, i-20):min(out.Len(), i+20)])
			}
		}
		for _, line := range strings.Split(show.String(), "\n") {
			if len(line) > 64<<10 {
				t.Errorf("%s: a line of %d bytes: %.40s", name, len(line), line)
			}
		}
		for _, line := range strings.Split(table.String(), "\n") {
			if len(line) > 400 {
				t.Errorf("%s: a row of %d bytes", name, len(line))
			}
		}
	}
}

// What a client can name must not look like an escape that stands for
// something else.
func TestEscapesCannotBeForged(t *testing.T) {
	show := func(s string) string {
		var b bytes.Buffer
		if err := auditview.Show(&b, &auditv1.StoredEvent{Event: &auditv1.Event{ApplicationName: s}}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	seen := map[string]string{}
	for _, s := range []string{"a\nb", `a\nb`, `a\\nb`, "a\u202eb", `a\u202eb`, "a\xffb", `a\xffb`, "a\ufffdb"} {
		if other, ok := seen[show(s)]; ok {
			t.Errorf("%q and %q look the same", s, other)
		}
		seen[show(s)] = s
	}
}

func TestUnknownAndEmpty(t *testing.T) {
	for _, e := range []*auditv1.StoredEvent{nil, {}, {Event: &auditv1.Event{}}, {Event: &auditv1.Event{
		Type: 99, Verdict: 98, Reason: 97, Message: 96, EventId: []byte{1}, Time: &timestamppb.Timestamp{Seconds: 1 << 60},
		Statements: []*authzv1.Statement{nil, {Accesses: []*authzv1.Access{nil}}}, LoginRefusal: 95,
	}}} {
		var b bytes.Buffer
		for _, err := range []error{auditview.OCSF(&b, e), auditview.Show(&b, e), auditview.JSON(&b, e), auditview.Table(&b, []*auditv1.StoredEvent{e})} {
			if err != nil {
				t.Error(err)
			}
		}
		if e.GetEvent().GetType() == 99 && !strings.Contains(b.String(), "unknown(99)") {
			t.Error(b.String())
		}
	}
}

func TestListsAreBounded(t *testing.T) {
	a := &authzv1.Access{Action: authzv1.Action_ACTION_SELECT, Named: &authzv1.ObjectName{Kind: authzv1.ObjectKind_OBJECT_KIND_TABLE, Name: "t"}}
	for range 5000 {
		a.Columns = append(a.Columns, "c")
	}
	s := &authzv1.Statement{}
	for range 5000 {
		s.Accesses = append(s.Accesses, a)
	}
	e := &auditv1.StoredEvent{Event: &auditv1.Event{Time: timestamppb.New(time.Unix(0, 0))}}
	for range 5000 {
		e.Event.Statements = append(e.Event.Statements, s)
	}
	var show, doc bytes.Buffer
	for _, err := range []error{auditview.Show(&show, e), auditview.JSON(&doc, e)} {
		if err != nil {
			t.Error(err)
		}
	}
	if show.Len() > 20<<20 || doc.Len() > 20<<20 || !strings.Contains(show.String(), "and 4900 more") || !strings.Contains(show.String(), "and 4900 statements more") {
		t.Errorf("%d bytes of text, %d of JSON", show.Len(), doc.Len())
	}
}

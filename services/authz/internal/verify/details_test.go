package verify

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func details(t *testing.T, b *bench, claim string) (Principal, *Refusal) {
	t.Helper()
	return reasonOf(t, b.v, b.token(t, "ES256", "p256", nil, map[string]any{"authorization_details": json.RawMessage(claim)}))
}

func TestDetails(t *testing.T) {
	b := newBench(t, testRules())
	tests := map[string]struct {
		claim string
		want  []Detail
	}{
		"none":       {`[]`, nil},
		"other type": {`[{"type":"payment_initiation","actions":7}]`, nil},
		"everything": {
			`[{"type":"postgresql","databases":["app"],"actions":["select","update"],"objects":["public.orders","hr.\"Mixed\""],
			   "columns":["id"],"rows":"tenant_id = claim('tenant')","presets":["introspection"]}]`,
			[]Detail{{
				Databases: []string{"app"}, Actions: []string{"select", "update"}, Objects: []string{"public.orders", `hr."Mixed"`},
				Columns: []string{"id"}, HasRows: true, Presets: []string{"introspection"},
			}},
		},
		"among others": {
			`[{"type":"Postgresql"},{"type":"postgresql","presets":["session"]},{"type":"x","rows":null}]`,
			[]Detail{{Presets: []string{"session"}}},
		},
	}
	for name, tt := range tests {
		p, r := details(t, b, tt.claim)
		if r != nil {
			t.Errorf("%s: %s", name, r)
			continue
		}
		if diff := cmp.Diff(tt.want, p.Details); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestMalformedDetailsRefuseTheToken(t *testing.T) {
	b := newBench(t, testRules())
	long := strings.Repeat(`{"type":"x"},`, maxDetails)
	items := strings.TrimSuffix(strings.Repeat(`"a.b",`, maxDetailItems+1), ",")
	for name, claim := range map[string]string{
		"no array":         `{"type":"postgresql"}`,
		"null":             `null`,
		"no object":        `["postgresql"]`,
		"no type":          `[{"actions":["select"]}]`,
		"type no string":   `[{"type":["postgresql"]}]`,
		"too many":         `[` + long + `{"type":"x"}]`,
		"unknown member":   `[{"type":"postgresql","actions":["select"],"objects":["a.b"],"trusted":true}]`,
		"common member":    `[{"type":"postgresql","actions":["select"],"objects":["a.b"],"locations":["https://db"]}]`,
		"null member":      `[{"type":"postgresql","actions":["select"],"objects":["a.b"],"columns":null}]`,
		"string for list":  `[{"type":"postgresql","actions":"select","objects":["a.b"]}]`,
		"number in a list": `[{"type":"postgresql","actions":["select"],"objects":[1]}]`,
		"empty list":       `[{"type":"postgresql","actions":["select"],"objects":["a.b"],"columns":[]}]`,
		"rows no string":   `[{"type":"postgresql","actions":["select"],"objects":["a.b"],"rows":true}]`,
		"empty rows":       `[{"type":"postgresql","actions":["select"],"objects":["a.b"],"rows":""}]`,
		"too many items":   `[{"type":"postgresql","actions":["select"],"objects":[` + items + `]}]`,
		"twice":            `[{"type":"postgresql","actions":["select"],"actions":["update"],"objects":["a.b"]}]`,
	} {
		if _, r := details(t, b, claim); r == nil || r.Reason != ClaimsInvalid && r.Reason != Malformed {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// TestClaimsAreWhatWasSigned: conditions see the token's JSON, numbers included.
func TestClaimsAreWhatWasSigned(t *testing.T) {
	b := newBench(t, testRules())
	p, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", nil, map[string]any{
		"level": 3, "ratio": 0.5, "big": 1e300, "groups": []any{"dba", nil, true}, "at": map[string]any{"org": "x"}, "edge": int64(1) << 53,
	}))
	if r != nil {
		t.Fatal(r)
	}
	got, claims := map[string]any{}, p.Claims()
	for _, k := range []string{"level", "ratio", "big", "groups", "at", "edge", "sub"} {
		got[k] = claims[k]
	}
	want := map[string]any{
		"level": int64(3), "ratio": 0.5, "big": 1e300, "groups": []any{"dba", nil, true}, "at": map[string]any{"org": "x"},
		"edge": float64(1 << 53), "sub": "alice",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if (&Principal{}).Claims() != nil {
		t.Error("there are claims without a token")
	}
}

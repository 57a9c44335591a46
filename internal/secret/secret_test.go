package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/scopewire/scopewire/internal/secret"
)

// Every way a program prints a value must print [redacted] for a secret.
func TestNothingPrintsASecret(t *testing.T) {
	const canary = "canary-5f1d"
	s := secret.FromString(canary)
	type holder struct {
		Name string
		Key  secret.Bytes
		Ptr  *secret.Bytes
	}
	h := holder{Name: "login", Key: s, Ptr: &s}

	var out []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%b", "%o", "%U"} {
		for _, v := range []any{s, &s, h, &h, []secret.Bytes{s}, map[string]secret.Bytes{"k": s}} {
			out = append(out, fmt.Sprintf(verb, v))
		}
	}
	out = append(out, fmt.Sprint(s), fmt.Sprintln(h), fmt.Errorf("wrap %v", s).Error())
	for _, v := range []any{s, h, &h} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		y, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(j), string(y))
	}
	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "s", s, "p", &s, "h", h)
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "s", s, "p", &s, "h", h)
	out = append(out, buf.String())

	hexCanary := fmt.Sprintf("%x", canary)
	decimal := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
	for _, o := range out {
		for _, leak := range []string{canary, hexCanary, strings.ToUpper(hexCanary), decimal} {
			if strings.Contains(o, leak) {
				t.Errorf("printed the secret: %q", o)
			}
		}
	}
}

func TestEqual(t *testing.T) {
	a, b := secret.FromString("same"), secret.FromString("same")
	if !a.Equal(b) || a.Equal(secret.FromString("other")) || a.Equal(secret.Bytes{}) {
		t.Error("Equal does not compare the bytes")
	}
}

func TestWipe(t *testing.T) {
	s := secret.FromString("token")
	s.Wipe()
	if !bytes.Equal(s.Expose(), make([]byte, 5)) {
		t.Errorf("Wipe left %d bytes", s.Len())
	}
}

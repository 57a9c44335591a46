package verify

import (
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadKeys(t *testing.T) {
	ec := func(kid string, extra map[string]any) pair {
		return pair{kid: kid, signer: ecKey(t, elliptic.P256()), extra: extra}
	}
	one := func(name string, v any) map[string]any { return map[string]any{name: v} }
	good := ec("good", nil)
	tests := []struct {
		name string
		keys []pair
		want []string
		drop dropped
	}{
		{"all types", []pair{good, {kid: "r", signer: rsaKey(t, 2048)}, {kid: "e", signer: edKey(t)}}, []string{"good", "r", "e"}, dropped{}},
		{"without kid", []pair{ec("", one("kid", nil))}, []string{""}, dropped{}},
		{"key_ops with verify", []pair{ec("a", one("key_ops", []string{"verify"}))}, []string{"a"}, dropped{}},
		{"unknown members", []pair{ec("a", map[string]any{"x5c": []string{"!"}, "x5u": "https://attacker.example", "exp": 1})}, []string{"a"}, dropped{}},
		{"foreign type", []pair{good, ec("a", one("kty", "AKP"))}, []string{"good"}, dropped{foreign: 1}},
		{"shared secret", []pair{good, ec("a", map[string]any{"kty": "oct", "k": "AAAA"})}, []string{"good"}, dropped{private: 1}},
		{"private key", []pair{good, ec("a", one("d", "AAAA"))}, []string{"good"}, dropped{private: 1}},
		{"private key alone", []pair{ec("a", one("d", "AAAA"))}, nil, dropped{private: 1}},
		{"for encryption", []pair{good, ec("a", one("use", "enc"))}, []string{"good"}, dropped{foreign: 1}},
		{"key_ops without verify", []pair{good, ec("a", one("key_ops", []string{"sign"}))}, []string{"good"}, dropped{foreign: 1}},
		{"alg of another curve", []pair{good, ec("a", one("alg", "ES384"))}, []string{"good"}, dropped{foreign: 1}},
		{"symmetric alg", []pair{good, ec("a", one("alg", "HS256"))}, []string{"good"}, dropped{foreign: 1}},
		{"alg is a number", []pair{good, ec("a", one("alg", 1))}, []string{"good"}, dropped{foreign: 1}},
		{"curve mismatch", []pair{good, ec("a", one("crv", "P-384"))}, []string{"good"}, dropped{broken: 1}},
		{"point off the curve", []pair{good, ec("a", one("x", strings.Repeat("A", 43)))}, []string{"good"}, dropped{broken: 1}},
		{"point missing", []pair{good, ec("a", one("y", nil))}, []string{"good"}, dropped{broken: 1}},
		{"kid is a number", []pair{good, ec("a", one("kid", 1))}, []string{"good"}, dropped{broken: 1}},
		{"kid is long", []pair{good, ec(strings.Repeat("k", maxKeyID+1), nil)}, []string{"good"}, dropped{broken: 1}},
		{"weak RSA", []pair{good, {kid: "r", signer: rsaKey(t, 1024)}}, []string{"good"}, dropped{foreign: 1}},
		{"RSA with exponent 1", []pair{good, {kid: "r", signer: rsaKey(t, 2048), extra: one("e", "AQ")}}, []string{"good"}, dropped{foreign: 1}},
		{"RSA with an even exponent", []pair{good, {kid: "r", signer: rsaKey(t, 2048), extra: one("e", "AQAA")}}, []string{"good"}, dropped{foreign: 1}},
		{"RSA with a long exponent", []pair{good, {kid: "r", signer: rsaKey(t, 2048), extra: one("e", "AQAAAAAAAAAD")}}, []string{"good"}, dropped{broken: 1}},
		{"RSA with an even modulus", []pair{good, {kid: "r", signer: rsaKey(t, 2048), extra: one("n", strings.Repeat("_", 340)+"gA")}}, []string{"good"}, dropped{foreign: 1}},
		{"huge RSA", []pair{good, {kid: "r", signer: rsaKey(t, 2048), extra: one("n", strings.Repeat("_", 1400))}}, []string{"good"}, dropped{foreign: 1}},
		{"Ed25519 of a wrong length", []pair{good, {kid: "e", signer: edKey(t), extra: one("x", "AAAA")}}, []string{"good"}, dropped{foreign: 1}},
		{"Ed448", []pair{good, {kid: "e", signer: edKey(t), extra: one("crv", "Ed448")}}, []string{"good"}, dropped{broken: 1}},
		{"X25519", []pair{good, {kid: "e", signer: edKey(t), extra: one("crv", "X25519")}}, []string{"good"}, dropped{foreign: 1}},
		{"two keys of one kid", []pair{good, ec("a", nil), ec("a", nil)}, []string{"good"}, dropped{duplicate: 2}},
		{"kid shared with a foreign key", []pair{good, ec("a", nil), ec("a", one("use", "enc"))}, []string{"good"}, dropped{foreign: 1, duplicate: 1}},
		{"every key withdrawn", nil, nil, dropped{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys, d, err := readKeys(jwks(t, tt.keys...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range keys {
				got = append(got, k.id)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if d != tt.drop {
				t.Errorf("dropped %+v, want %+v", d, tt.drop)
			}
		})
	}
}

func TestReadKeysRefusesTheDocument(t *testing.T) {
	valid, err := json.Marshal(pair{kid: "a", signer: ecKey(t, elliptic.P256())}.jwk())
	if err != nil {
		t.Fatal(err)
	}
	enc, err := json.Marshal(pair{kid: "a", signer: ecKey(t, elliptic.P256()), extra: map[string]any{"use": "enc"}}.jwk())
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string]string{
		"empty":             ``,
		"HTML":              `<html><body>sign in</body></html>`,
		"a key by itself":   string(valid),
		"keys is an object": `{"keys":{}}`,
		"a key is a text":   fmt.Sprintf(`{"keys":[%s,"x"]}`, valid),
		"two documents":     `{"keys":[]}{"keys":[]}`,
		"keys twice":        `{"keys":[],"keys":[]}`,
		"a member twice":    fmt.Sprintf(`{"keys":[%s,"kid":"b"}]}`, valid[:len(valid)-1]),
		"nothing usable":    fmt.Sprintf(`{"keys":[%s]}`, enc),
		"one byte too long": `{"keys":[],"x":"` + strings.Repeat("x", maxJWKS-17) + `"}`,
	} {
		if keys, _, err := readKeys([]byte(doc)); err == nil {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
	longest := `{"keys":[` + string(valid) + `],"x":"`
	longest += strings.Repeat("x", maxJWKS-len(longest)-2) + `"}`
	if keys, _, err := readKeys([]byte(longest)); err != nil || len(keys) != 1 {
		t.Errorf("the longest document: %d keys, %v", len(keys), err)
	}
}

func FuzzReadKeys(f *testing.F) {
	f.Add(jwks(f, pair{kid: "a", signer: ecKey(f, elliptic.P256())}, pair{kid: "b", signer: edKey(f)}))
	f.Add(jwks(f, pair{kid: "r", signer: rsaKey(f, 2048)}))
	f.Fuzz(func(t *testing.T, doc []byte) {
		keys, _, err := readKeys(doc)
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, k := range keys {
			if k.hasID && names[k.id] {
				t.Fatalf("two keys are called %q", k.id)
			}
			names[k.id] = true
			if k.alg != "" && !agrees(k.alg, k.public) {
				t.Fatalf("a key for %s is %T", k.alg, k.public)
			}
			// Nothing that the library made of the numbers may break a check.
			for _, alg := range Algorithms() {
				if signed(alg, k.public, []byte("x"), make([]byte, 64)) {
					t.Fatal("zeros are a signature")
				}
			}
		}
	})
}

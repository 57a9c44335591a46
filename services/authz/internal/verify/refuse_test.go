package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

// badToken is a token made by hand that is wrong in one thing.
type badToken struct {
	name  string
	token func(*testing.T) string
	want  Reason
}

// refuseAll verifies each bad token, and a good one after it.
func (b *bench) refuseAll(t *testing.T, tests []badToken) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := tt.token(t)
			_, r := reasonOf(t, b.v, token)
			if r == nil {
				t.Fatal("accepted")
			}
			if r.Reason != tt.want {
				t.Errorf("%s (%s), want %s", r.Reason, r.Detail, tt.want)
			}
			assertNothingOfToken(t, r, token)
			// The next token is judged on its own.
			if _, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", nil, nil)); r != nil {
				t.Errorf("a good token afterwards: %v", r)
			}
		})
	}
}

// es makes a token signed with the P-256 key; header and claims change the good
// ones.
func (b *bench) es(header, claims map[string]any) func(*testing.T) string {
	return func(t *testing.T) string { t.Helper(); return b.token(t, "ES256", "p256", header, claims) }
}

// as makes a good token signed by that algorithm with that key.
func (b *bench) as(alg, kid string) func(*testing.T) string {
	return func(t *testing.T) string { t.Helper(); return b.token(t, alg, kid, nil, nil) }
}

// raw makes a token of any header and payload, signed with the P-256 key.
func (b *bench) raw(header, payload string) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		return sign(t, "ES256", b.keys["p256"].signer, header, payload)
	}
}

func text(s string) func(*testing.T) string { return func(*testing.T) string { return s } }

func one(name string, v any) map[string]any { return map[string]any{name: v} }

// assertNothingOfToken looks for eight characters in a row of the token.
func assertNothingOfToken(t *testing.T, r *Refusal, token string) {
	t.Helper()
	for i := 0; i+8 <= len(token); i++ {
		if strings.Contains(r.Error(), token[i:i+8]) {
			t.Fatalf("%q quotes the token", r.Error())
		}
	}
}

func TestSec_T30_Algorithm(t *testing.T) {
	b := newBench(t, testRules())
	claims := object(t, goodClaims(), nil)
	b.refuseAll(t, []badToken{
		{"none", func(t *testing.T) string {
			return b64([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + b64([]byte(claims)) + "."
		}, Algorithm},
		{"None with a signature", b.raw(`{"alg":"None","typ":"at+jwt","kid":"p256"}`, claims), Algorithm},
		{"no alg", b.raw(`{"typ":"at+jwt","kid":"p256"}`, claims), Algorithm},
		{"alg is a number", b.raw(`{"alg":1,"typ":"at+jwt","kid":"p256"}`, claims), Algorithm},
		{"alg is a list", b.raw(`{"alg":["ES256"],"typ":"at+jwt","kid":"p256"}`, claims), Algorithm},
		{"lower case", b.raw(`{"alg":"es256","typ":"at+jwt","kid":"p256"}`, claims), Algorithm},
		{"HS256 with the RSA public key", func(t *testing.T) string {
			der, err := x509.MarshalPKIXPublicKey(b.keys["rsa"].signer.Public())
			if err != nil {
				t.Fatal(err)
			}
			key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
			return sign(t, "HS256", key, `{"alg":"HS256","typ":"at+jwt","kid":"rsa"}`, claims)
		}, Algorithm},
		{"not on the issuer's list", b.as("RS384", "rsa"), Algorithm},
		{"ES256 with a P-384 key", b.as("ES256", "p384"), Algorithm},
		{"ES256 with an RSA key", b.raw(`{"alg":"ES256","typ":"at+jwt","kid":"rsa"}`, claims), Algorithm},
		{"alg of the key ignored", b.as("RS256", "pss"), Algorithm},
		{"Ed25519 as alias", b.raw(`{"alg":"Ed25519","typ":"at+jwt","kid":"ed"}`, claims), Algorithm},
		{"ES256K", b.raw(`{"alg":"ES256K","typ":"at+jwt","kid":"p256"}`, claims), Algorithm},
		{"header says EdDSA, key is EC", b.raw(`{"alg":"EdDSA","typ":"at+jwt","kid":"p256"}`, claims), Algorithm},
		{"signed by another key", func(t *testing.T) string {
			return sign(t, "ES256", ecKey(t, elliptic.P256()), goodHeader, claims)
		}, Signature},
		{"zero signature", func(*testing.T) string {
			return b64([]byte(goodHeader)) + "." + b64([]byte(claims)) + "." + b64(make([]byte, 64))
		}, Signature},
		{"signature of DER form", func(t *testing.T) string {
			input := b64([]byte(goodHeader)) + "." + b64([]byte(claims))
			h := hashOf("ES256").New()
			h.Write([]byte(input))
			der, err := ecdsa.SignASN1(nil, b.keys["p256"].signer.(*ecdsa.PrivateKey), h.Sum(nil))
			if err != nil {
				t.Fatal(err)
			}
			return input + "." + b64(der)
		}, Signature},
		{"claims changed", func(t *testing.T) string {
			parts := strings.Split(b.token(t, "ES256", "p256", nil, nil), ".")
			parts[1] = b64([]byte(object(t, goodClaims(), one("sub", "root"))))
			return strings.Join(parts, ".")
		}, Signature},
		{"header changed", func(t *testing.T) string {
			parts := strings.Split(b.token(t, "ES256", "p256", nil, nil), ".")
			parts[0] = b64([]byte(`{"kid":"p256","alg":"ES256","typ":"at+jwt"}`))
			return strings.Join(parts, ".")
		}, Signature},
		{"weak RSA key", b.as("RS256", "weak"), Signature},
		{"key for encryption", b.as("ES256", "enc"), Signature},
		{"kid of two keys", b.as("ES256", "twin"), Signature},
	})
}

func TestSec_T31_HeaderInjection(t *testing.T) {
	b := newBench(t, testRules())
	claims := object(t, goodClaims(), nil)
	b.refuseAll(t, []badToken{
		{"own key in jwk", func(t *testing.T) string {
			own := pair{kid: "own", signer: ecKey(t, elliptic.P256())}
			h := object(t, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "own", "jwk": own.jwk()}, nil)
			return sign(t, "ES256", own.signer, h, claims)
		}, Signature},
		{"jku", b.raw(`{"alg":"ES256","typ":"at+jwt","kid":"x","jku":"https://attacker.example/"}`, claims), Signature},
		{"x5u", b.raw(`{"alg":"ES256","typ":"at+jwt","kid":"x","x5u":"https://attacker.example/"}`, claims), Signature},
		{"crit", b.es(one("crit", []string{"exp"}), nil), Malformed},
		{"empty crit", b.es(one("crit", []string{}), nil), Malformed},
		{"b64 false", b.es(one("b64", false), nil), Malformed},
		{"b64 as a string", b.es(one("b64", "true"), nil), Malformed},
		{"kid is a path", b.raw(`{"alg":"ES256","typ":"at+jwt","kid":"../../../../dev/null"}`, claims), Signature},
		{"kid is SQL", b.raw(`{"alg":"ES256","typ":"at+jwt","kid":"' OR 1=1 --"}`, claims), Signature},
		{"kid is long", b.es(one("kid", strings.Repeat("k", maxKeyID+1)), nil), Malformed},
		{"kid is a number", b.es(one("kid", 7), nil), Malformed},
		{"no kid, several keys", func(t *testing.T) string { return b.token(t, "PS256", "pss", one("kid", nil), nil) }, Signature},
		{"kid differs in case", b.raw(`{"alg":"ES256","typ":"at+jwt","kid":"P256"}`, claims), Signature},
		{"kid twice", b.raw(`{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"p256"}`, claims), Malformed},
		{"alg twice by an escape", b.raw(`{"alg":"ES256","\u0061lg":"none","typ":"at+jwt","kid":"p256"}`, claims), Malformed},
	})
}

func TestSec_T32_Type(t *testing.T) {
	b := newBench(t, testRules())
	b.refuseAll(t, []badToken{
		{"JWT", b.es(one("typ", "JWT"), nil), Type},
		{"no typ", b.es(one("typ", nil), nil), Type},
		{"upper case", b.es(one("typ", "AT+JWT"), nil), Type},
		{"logout token", b.es(one("typ", "logout+jwt"), nil), Type},
		{"DPoP proof", b.es(one("typ", "dpop+jwt"), nil), Type},
		{"typ is a number", b.es(one("typ", 1), nil), Type},
		{"typ with a parameter", b.es(one("typ", "at+jwt; v=1"), nil), Type},
	})
}

func TestSec_T33_IssuerAndAudience(t *testing.T) {
	b := newBench(t, testRules())
	claims := object(t, goodClaims(), nil)
	claimsWith := func(member string) string { return claims[:len(claims)-1] + "," + member + "}" }
	b.refuseAll(t, []badToken{
		{"no iss", b.es(nil, one("iss", nil)), IssuerUnknown},
		{"iss is a list", b.es(nil, one("iss", []string{testIssuer})), IssuerUnknown},
		{"iss with a slash", b.es(nil, one("iss", testIssuer+"/")), IssuerUnknown},
		{"iss in upper case", b.es(nil, one("iss", "https://IDP.example.com")), IssuerUnknown},
		{"iss look-alike", b.es(nil, one("iss", "https://idp.ex\u0430mple.com")), IssuerUnknown},
		{"no aud", b.es(nil, one("aud", nil)), Audience},
		{"empty aud", b.es(nil, one("aud", "")), Audience},
		{"empty list", b.es(nil, one("aud", []string{})), Audience},
		{"another aud", b.es(nil, one("aud", "payroll")), Audience},
		{"prefix", b.es(nil, one("aud", "postgres-test")), Audience},
		{"case", b.es(nil, one("aud", "Postgres")), Audience},
		{"look-alike", b.es(nil, one("aud", "p\u043estgres")), Audience},
		{"aud is a number", b.es(nil, one("aud", 1)), ClaimsInvalid},
		{"list with a number", b.es(nil, one("aud", []any{testAudience, 1})), ClaimsInvalid},
		{"aud twice", b.raw(goodHeader, claimsWith(`"aud":"postgres"`)), Malformed},
	})
}

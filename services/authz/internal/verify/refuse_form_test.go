package verify

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestSec_T34_Form(t *testing.T) {
	b := newBench(t, testRules())
	claims := object(t, goodClaims(), nil)
	claimsWith := func(member string) string { return claims[:len(claims)-1] + "," + member + "}" }
	b.refuseAll(t, []badToken{
		{"empty", text(""), Malformed},
		{"dots", text(strings.Repeat(".", MaxTokenSize)), Malformed},
		{"one part", text("abc"), Malformed},
		{"two parts", text("abc.def"), Malformed},
		{"JWE", func(t *testing.T) string {
			return b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":1000000000}`)) + ".AA.AA.AA.AA"
		}, Malformed},
		{"enc in a JWS", b.es(one("enc", "A128GCM"), nil), Malformed},
		{"zip in a JWS", b.es(one("zip", "DEF"), nil), Malformed},
		{"too long", b.es(nil, one("x", strings.Repeat("x", MaxTokenSize))), Malformed},
		{"JSON serialisation", func(t *testing.T) string {
			parts := strings.Split(b.token(t, "ES256", "p256", nil, nil), ".")
			return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2])
		}, Malformed},
		{"claims too deep", b.es(nil, one("x", nest(maxDepth))), Malformed},
		{"header too deep", b.es(one("x", nest(maxDepth)), nil), Malformed},
		{"sub twice", b.raw(goodHeader, claimsWith(`"sub":"root"`)), Malformed},
		{"sub twice by an escape", b.raw(goodHeader, claimsWith(`"s\u0075b":"root"`)), Malformed},
		{"member twice inside", b.raw(goodHeader, claimsWith(`"x":{"a":1,"a":1}`)), Malformed},
		{"claims are a list", b.raw(goodHeader, "["+claims+"]"), Malformed},
		{"two documents", b.raw(goodHeader, claims+claims), Malformed},
		{"not JSON", b.raw(goodHeader, "sub=alice"), Malformed},
		{"header not JSON", b.raw("alg=ES256", claims), Malformed},
		{"invalid UTF-8", b.raw(goodHeader, claimsWith("\"x\":\"\xff\"")), Malformed},
		{"half a surrogate pair", b.raw(goodHeader, claimsWith(`"x":"\ud800"`)), Malformed},
		{"byte order mark", b.raw(goodHeader, "\ufeff"+claims), Malformed},
		{"padding", func(t *testing.T) string { return b.token(t, "ES256", "p256", nil, nil) + "==" }, Malformed},
		{"line break", func(t *testing.T) string { return b.token(t, "ES256", "p256", nil, nil) + "\n" }, Malformed},
		{"space before", func(t *testing.T) string { return " " + b.token(t, "ES256", "p256", nil, nil) }, Malformed},
		{"Bearer before", func(t *testing.T) string { return "Bearer " + b.token(t, "ES256", "p256", nil, nil) }, Malformed},
		{"standard base64", func(t *testing.T) string {
			input := b64([]byte(goodHeader)) + "." + b64([]byte(claims))
			return input + "." + base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\xff\xfe", 32)))
		}, Malformed},
		{"stray bits in the signature", func(t *testing.T) string {
			tok := b.token(t, "ES256", "p256", nil, nil)
			// 64 bytes leave four unused bits in the last character.
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(alphabet, tok[len(tok)-1])
			return tok[:len(tok)-1] + string(alphabet[last|1])
		}, Malformed},
	})
}

func TestSec_T36_Time(t *testing.T) {
	b := newBench(t, testRules())
	sec := epoch.Unix()
	claims := object(t, goodClaims(), nil)
	b.refuseAll(t, []badToken{
		{"expired now", b.es(nil, map[string]any{"exp": sec, "iat": sec - 60}), Expired},
		{"expired long ago", b.es(nil, map[string]any{"exp": 1, "iat": 0}), Expired},
		{"fraction does not lengthen", b.es(nil, map[string]any{"exp": float64(sec) + 0.9, "iat": sec - 60}), Expired},
		{"no exp", b.es(nil, one("exp", nil)), ClaimsInvalid},
		{"no dates", b.es(nil, map[string]any{"exp": nil, "iat": nil}), ClaimsInvalid},
		{"exp is null", b.raw(goodHeader, strings.Replace(claims, fmt.Sprintf(`"exp":%d`, sec+600), `"exp":null`, 1)), ClaimsInvalid},
		{"exp is a string", b.es(nil, one("exp", fmt.Sprint(sec+600))), ClaimsInvalid},
		{"exp is 1e308", b.raw(goodHeader, strings.Replace(claims, fmt.Sprint(sec+600), "1e308", 1)), ClaimsInvalid},
		{"exp is 1e999", b.raw(goodHeader, strings.Replace(claims, fmt.Sprint(sec+600), "1e999", 1)), ClaimsInvalid},
		{"exp is 2^63", b.raw(goodHeader, strings.Replace(claims, fmt.Sprint(sec+600), "9223372036854775808", 1)), ClaimsInvalid},
		{"exp in milliseconds", b.es(nil, one("exp", (sec+600)*1000)), ClaimsInvalid},
		{"exp is negative", b.es(nil, one("exp", -sec)), ClaimsInvalid},
		{"exp before iat", b.es(nil, map[string]any{"iat": sec + 600, "exp": sec + 600}), ClaimsInvalid},
		{"exp before nbf", b.es(nil, map[string]any{"nbf": sec + 601}), ClaimsInvalid},
		{"nbf ahead", b.es(nil, one("nbf", sec+1)), NotYetValid},
		{"fraction of nbf ahead", b.es(nil, one("nbf", float64(sec)+0.1)), NotYetValid},
		{"nbf is a string", b.es(nil, one("nbf", "0")), ClaimsInvalid},
		{"iat ahead", b.es(nil, one("iat", sec+1)), NotYetValid},
		{"iat is true", b.es(nil, one("iat", true)), ClaimsInvalid},
	})
}

func TestClaims(t *testing.T) {
	b := newBench(t, testRules())
	b.refuseAll(t, []badToken{
		{"no sub", b.es(nil, one("sub", nil)), ClaimsInvalid},
		{"empty sub", b.es(nil, one("sub", "")), ClaimsInvalid},
		{"sub is a number", b.es(nil, one("sub", 1)), ClaimsInvalid},
		{"jti is a number", b.es(nil, one("jti", 1)), ClaimsInvalid},
		{"client_id is a list", b.es(nil, one("client_id", []string{"app"})), ClaimsInvalid},
		{"azp is a list", b.es(nil, map[string]any{"client_id": nil, "azp": []string{"app"}}), ClaimsInvalid},
		{"scope is a list", b.es(nil, one("scope", []string{"orders.read"})), ClaimsInvalid},
		{"scope with a tab", b.es(nil, one("scope", "orders.read\torders.write")), ClaimsInvalid},
		{"scope with a quote", b.es(nil, one("scope", `a"b`)), ClaimsInvalid},
		{"scope beyond ASCII", b.es(nil, one("scope", "orders.re\u0430d")), ClaimsInvalid},
		{"scp is an object", b.es(nil, map[string]any{"scope": nil, "scp": map[string]any{}}), ClaimsInvalid},
		{"scp with a number", b.es(nil, map[string]any{"scope": nil, "scp": []any{"a", 1}}), ClaimsInvalid},
		{"scp with two in one", b.es(nil, map[string]any{"scope": nil, "scp": []any{"a b"}}), ClaimsInvalid},
		{"scope and scp differ", b.es(nil, one("scp", []string{"orders.read", "admin"})), ClaimsInvalid},
		{"scope and empty scp", b.es(nil, one("scp", []string{})), ClaimsInvalid},
		{"act is a string", b.es(nil, one("act", "gateway")), ClaimsInvalid},
		{"act without sub", b.es(nil, one("act", map[string]any{"iss": "x"})), ClaimsInvalid},
		{"inner act without sub", b.es(nil, one("act", map[string]any{"sub": "a", "act": map[string]any{}})), ClaimsInvalid},
		{"act with a strange iss", b.es(nil, one("act", map[string]any{"sub": "a", "iss": 1})), ClaimsInvalid},
	})
}

func TestSec_T38_Binding(t *testing.T) {
	b := newBench(t, testRules())
	claims := object(t, goodClaims(), nil)
	claimsWith := func(member string) string { return claims[:len(claims)-1] + "," + member + "}" }
	b.refuseAll(t, []badToken{
		{"cnf", b.es(nil, one("cnf", map[string]any{"x5t#S256": "AAAA"})), Binding},
		{"cnf jkt", b.es(nil, one("cnf", map[string]any{"jkt": "AAAA"})), Binding},
		{"cnf null", b.raw(goodHeader, claimsWith(`"cnf":null`)), Binding},
	})
}

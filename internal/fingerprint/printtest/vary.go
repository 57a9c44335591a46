// Package printtest writes texts that have a given fingerprint, for tests of what is kept
// under it.
package printtest

import (
	"bytes"
	"strings"

	"github.com/scopewire/scopewire/internal/fingerprint"
)

// strs are strings that say something to somebody: names, settings, OIDs, types, texts of
// SQL, values of arrays and rows.
var strs = []string{
	"", "x", "1", "-1", "0", "42", "1.5", "t", "false", "null", "NaN", "2020-01-01", "1 day", "{}", "{1,2}", `{"a": 1}`, "[1,5)", "(1,2)", "(,)", "$.a",
	"orders", "public.orders", "app.orders", "hr.salaries", `hr."Mixed Case"`, "pg_class", "pg_authid", "nosuch", "a.b.c.d", "1259", "1260", "2147483648",
	"role", "search_path", "work_mem", "standard_conforming_strings", "scopewire.token", "public", "pg_temp", "hr", "app", "postgres", "admin",
	"lower", "lower(text)", "pg_catalog.set_config(text,text,boolean)", "int4", "text", "public.mood", "+", "+(integer,integer)", "simple", "english",
	"SELECT * FROM hr.salaries", "SELECT 1; DROP TABLE orders", "/etc/passwd", "host=localhost", "sad", "ok", "it''s", "-- no", "/* no */", "é",
	"utf8", "year", "epoch", "odd field", "UTC", "Europe/Berlin", "C", "a%", "%", "_", "^a", "YYYY-MM-DD", "md5", "sha256", "base64",
}

// Vary writes a text with the fingerprint of another: each literal is another one of its
// class, and there are no comments. Which one it is, choose says: a number below n. It
// reports false for a text without a fingerprint, or without a literal.
func Vary(choose func(n int) int, text []byte) ([]byte, bool) {
	key, ok := fingerprint.Append(nil, text)
	if !ok || bytes.IndexByte(key, 0) < 0 {
		return nil, false
	}
	var out []byte
	for i := 0; i < len(key); i++ {
		if key[i] != 0 {
			out = append(out, key[i])
			continue
		}
		i++
		switch key[i] {
		case 's':
			out = append(append(append(out, '\''), strs[choose(len(strs))]...), '\'')
		case 'i':
			out = append(out, pick(choose, "0", "1", "2", "3", "7", "24", "53", "64", "1259", "16384", "20001", "0012", "2147483647")...)
		case 'l':
			out = append(out, pick(choose, "2147483649", "4294967295", "9223372036854775807")...)
		default:
			out = append(out, pick(choose, "1.5", ".5", "3.", "0.0", "9223372036854775809", strings.Repeat("9", 40))...)
		}
	}
	return out, true
}

func pick(choose func(n int) int, of ...string) string { return of[choose(len(of))] }

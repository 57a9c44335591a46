package fingerprint

import (
	"bytes"
	"strings"
	"testing"
)

// shown is the fingerprint of a text with the classes readable, or "none".
func shown(t *testing.T, text string) string {
	t.Helper()
	key, ok := Append(nil, []byte(text))
	if !ok {
		return "none"
	}
	return strings.ReplaceAll(string(key), "\x00", "$")
}

func TestAppend(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{" \n-- nothing\n ", ""},
		{"SELECT abalance FROM accounts WHERE aid = 42;", "SELECT abalance FROM accounts WHERE aid = $i;"},
		{"  SELECT\t1\n,  'x'  ", "SELECT $i , $s"},
		{"SELECT/* a ' \" -- */1/**/", "SELECT $i"},
		{"SELECT 1 -- it's\n, 2", "SELECT $i , $i"},
		{"SELECT 'it''s', ''", "SELECT $s, $s"},
		{"SELECT 2147483647, 2147483648, -2147483649, 0000000001", "SELECT $i, 2147483648, -$l, $i"},
		{"SELECT 9223372036854775807, 9223372036854775808, 9223372036854775809", "SELECT $l, 9223372036854775808, $n"},
		{"SELECT 1.5, .5, 5., 1.2.3", "none"},
		{"SELECT 1.5, .5, 5., t.x", "SELECT $n, $n, $n, t.x"},
		{"SELECT a1, _2, é3, a$4, \"b 5 'x' \"\"\"", "SELECT a1, _2, é3, a$4, \"b 5 'x' \"\"\""},
		{"SELECT $1, $22::int, x[1:2]", "SELECT $1, $22::int, x[$i:$i]"},
		{"SELECT a-1, a -1, a - -1, a*-1, a<-1", "SELECT a-$i, a -$i, a - -$i, a*-$i, a<-$i"},
		{"SELECT a--1\n+1", "SELECT a +$i"},
		{"SELECT a*/* c */1", "SELECT a* $i"},
		{"SELECT x FROM t LIMIT 10 OFFSET 20", "SELECT x FROM t LIMIT 10 OFFSET $i"},
		{"SELECT x FROM t limit (5) offset 1", "SELECT x FROM t limit (5) offset $i"},
		{"SELECT x FROM t FETCH FIRST 3 ROWS ONLY", "SELECT x FROM t FETCH FIRST 3 ROWS ONLY"},
		{"SELECT x FROM t OFFSET 4 FETCH Next 3 ROWS ONLY", "SELECT x FROM t OFFSET $i FETCH Next 3 ROWS ONLY"},
		{"SELECT date '2020-01-01', x::varchar(10)", "SELECT date $s, x::varchar($i)"},
		{"SELECT x::float(24), float (53), float8(5)", "SELECT x::float(24), float (53), float8($i)"},
		{"SELECT 1; SELECT 2", "SELECT $i; SELECT $i"},
		{"SELECT 1 WHERE x IN (1,2,3)", "SELECT $i WHERE x IN ($i,$i,$i)"},
		// What may be read in two ways is known by its text alone.
		{`SELECT E'a'`, "none"}, {`SELECT e'a'`, "none"}, {"SELECT B'1'", "none"}, {"SELECT x'1f'", "none"}, {"SELECT N'a'", "none"},
		{"SELECT U&'a'", "none"}, {`SELECT U&"d!0061t" UESCAPE '!'`, "none"}, {"SELECT date'2020-01-01'", "none"},
		{`SELECT 'a\b'`, "none"}, {"SELECT 'a'\n'b'", "none"}, {"SELECT 'a' -- c\n 'b'", "none"}, {"SELECT 'a' 'b'", "none"},
		{"SELECT $$a$$", "none"}, {"SELECT $a$b$a$", "none"}, {"SELECT $1a", "none"}, {"SELECT $1$2", "none"}, {"SELECT 1$2", "none"},
		{"SELECT 1e5", "none"}, {"SELECT 0x1f", "none"}, {"SELECT 1_000", "none"}, {"SELECT 123abc", "none"}, {"SELECT 1..2", "none"}, {"SELECT 1'x'", "none"}, {"SELECT a.1", "none"},
		{"SELECT /* a /* b */ c */ 1", "none"}, {"SELECT /*+ SeqScan(t) */ 1", "none"}, {"SELECT /* open", "none"}, {"SELECT 'open", "none"}, {`SELECT "open`, "none"},
		{"SELECT\v1", "none"}, {"SELECT \x001", "none"}, {"SELECT '\x00'", "none"}, {"SELECT \"\x00\"", "none"}, {"SELECT /*\x00*/1", "none"}, {"SELECT 1--\x00", "none"},
		{"SELECT '\xff'", "none"}, {"SELECT \xc0", "none"}, {"SELECT 1 --\xff", "none"}, {"SELECT /*\xff*/ 1", "none"}, {"SELECT \"\xff\"", "none"},
		{"SELECT {1}", "none"}, {"SELECT \\x", "none"}, {"SELECT 1\x7f", "none"},
	} {
		if got := shown(t, tt.text); got != tt.want {
			t.Errorf("%q\ngot  %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	key, ok := Append([]byte("before "), []byte(" SELECT 1"))
	if !ok || string(key) != "before SELECT \x00i" {
		t.Errorf("got %q, %v", key, ok)
	}
}

func TestTooLong(t *testing.T) {
	fits := append(bytes.Repeat([]byte{' '}, MaxText-1), 'x')
	if _, ok := Append(nil, fits); !ok {
		t.Error("the longest text has no fingerprint")
	}
	if _, ok := Append(nil, append(fits, 'x')); ok {
		t.Error("a text that is too long has a fingerprint")
	}
}

// A key that has room takes a fingerprint without an allocation.
func TestAllocatesNothing(t *testing.T) {
	key, text := make([]byte, 0, 1<<10), []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 4711 AND note = 'x';")
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := Append(key, text); !ok {
			t.Error("no fingerprint")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A fingerprint, its classes written out as literals again, is a text with the same
// fingerprint: nothing but literals, white space and comments was lost.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{"SELECT 'a''b', 1, 2147483648, .5 -- c", "SELECT a FROM \"t\"\"\" LIMIT 5", "x/* */y--\n$1", "é'x'", "- -1", "1 .5", "LIMIT 1.5"} {
		f.Add([]byte(seed))
	}
	written := strings.NewReplacer("\x00s", "'s'", "\x00i", "1", "\x00l", "3000000000", "\x00n", "1.5")
	f.Fuzz(func(t *testing.T, text []byte) {
		key, ok := Append(nil, text)
		if !ok {
			return
		}
		again, ok := Append(nil, []byte(written.Replace(string(key))))
		if !ok || !bytes.Equal(again, key) {
			t.Errorf("%q has the fingerprint %q, which reads as %q, %v", text, key, again, ok)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	key, text := make([]byte, 0, 1<<10), []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 4711;")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Append(key, text); !ok {
			b.Fatal("no fingerprint")
		}
	}
}

package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plain turns a value into what encoding/json would give with UseNumber.
func (v value) plain() any {
	switch v.kind {
	case kindBool:
		return v.text == "true"
	case kindNumber:
		return json.Number(v.text)
	case kindString:
		return v.text
	case kindArray:
		list := []any{}
		for _, item := range v.items {
			list = append(list, item.plain())
		}
		return list
	case kindObject:
		m := map[string]any{}
		for _, mem := range v.members {
			m[mem.name] = mem.value.plain()
		}
		return m
	default:
		return nil
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want error
	}{
		{`{"a":[1,-0.5e+3,true,false,null,"\u00e9\ud83d\ude00\n\/"],"b":{}}`, nil},
		{" [ ] \r\n", nil},
		{``, errSyntax},
		{`nul`, errSyntax},
		{`True`, errSyntax},
		{`01`, errSyntax},
		{`1.`, errSyntax},
		{`.5`, errSyntax},
		{`+1`, errSyntax},
		{`1e`, errSyntax},
		{`-`, errSyntax},
		{`NaN`, errSyntax},
		{`0x10`, errSyntax},
		{`1 2`, errSyntax},
		{`[1,]`, errSyntax},
		{`[1`, errSyntax},
		{`{"a":1,}`, errSyntax},
		{`{"a"}`, errSyntax},
		{`{a:1}`, errSyntax},
		{`{'a':1}`, errSyntax},
		{`{"a":1`, errSyntax},
		{`"a`, errSyntax},
		{`"\`, errSyntax},
		{`"\u12`, errSyntax},
		{`"\u12g4"`, errSyntax},
		{`"\x41"`, errSyntax},
		{"\"a\nb\"", errSyntax},
		{"\"\\n\x01\"", errSyntax},
		{"[1]\x00", errSyntax},
		{"\x00", errSyntax},
		{"// c\n1", errSyntax},
		{"\"\xc3\"", errString},
		{"\"\\n\xc3\"", errString},
		{`"\ud800"`, errString},
		{`"\ude00\ud83d"`, errString},
		{`"\ud83d\u0041"`, errString},
		{`{"a":1,"a":1}`, errDuplicate},
		{`{"a":1,"\u0061":1}`, errDuplicate},
		{strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), nil},
		{strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), errDepth},
		{strings.Repeat(`{"a":`, 4000), errDepth},
		{manyMembers(maxMembers), nil},
		{manyMembers(maxMembers + 1), errMembers},
	} {
		if _, err := parse([]byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%.40q: %v, want %v", tt.in, err, tt.want)
		}
	}
}

// manyMembers is an object with n members of different names.
func manyMembers(n int) string {
	var doc strings.Builder
	doc.WriteString("{")
	for i := range n {
		fmt.Fprintf(&doc, `"k%d":0,`, i)
	}
	return strings.TrimSuffix(doc.String(), ",") + "}"
}

func TestParseFindsDuplicatesInLongObjects(t *testing.T) {
	var doc strings.Builder
	doc.WriteString("{")
	for i := range 100 {
		doc.WriteString(`"k` + strings.Repeat("x", i) + `":1,`)
	}
	for _, last := range []string{"k", "k" + strings.Repeat("x", 99)} {
		if _, err := parse([]byte(doc.String() + `"` + last + `":1}`)); !errors.Is(err, errDuplicate) {
			t.Errorf("%d: %v", len(last), err)
		}
	}
	if _, err := parse([]byte(doc.String() + `"other":1}`)); err != nil {
		t.Error(err)
	}
}

// FuzzParse: what is accepted here means the same to the standard library.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e+3,true,null,"\u00e9\ud83d\ude00"]}`, `{"a":1,"a":2}`, `[[[]]]`, `"\ud800"`, `1e5`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := parse(doc)
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(doc))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("accepted %q, which is not JSON: %v", doc, err)
		}
		if diff := cmp.Diff(want, got.plain()); diff != "" {
			t.Fatalf("%q: %s", doc, diff)
		}
	})
}

// FuzzSplit: no token makes it panic, and what it accepts has one spelling.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"))
	f.Add([]byte("..."))
	f.Fuzz(func(t *testing.T, token []byte) {
		c, r := split(token)
		if r != nil {
			return
		}
		if again := string(c.input) + "." + b64(c.signature); again != string(token) {
			t.Fatalf("%q is read as %q", token, again)
		}
	})
}

// garbage is a token that fails before the signature: noise in the right form.
func garbage(rnd *rand.Rand) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.{}\":,"
	b := make([]byte, rnd.IntN(MaxTokenSize))
	for i := range b {
		b[i] = alphabet[rnd.IntN(len(alphabet)-rnd.IntN(8))]
	}
	return b
}

// TestSec_T34_GarbageIsCheap: a token that cannot be verified costs at most two
// allocations larger than itself, and one that is too long costs none.
func TestSec_T34_GarbageIsCheap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		token := garbage(rnd)
		if _, r := split(token); r == nil {
			t.Fatalf("%q was taken for a token", token)
		}
	}
	long := bytes.Repeat([]byte("A"), 10<<20)
	if n := testing.AllocsPerRun(100, func() {
		if _, r := split(long); r == nil {
			t.Fatal("accepted")
		}
	}); n > 1 {
		t.Errorf("%v allocations for a token that is too long", n)
	}
	dots := bytes.Repeat([]byte("."), MaxTokenSize)
	if n := testing.AllocsPerRun(100, func() {
		if _, r := split(dots); r == nil {
			t.Fatal("accepted")
		}
	}); n > 1 {
		t.Errorf("%v allocations for dots", n)
	}
}

func BenchmarkSplitGarbage(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	tokens := make([][]byte, 1024)
	for i := range tokens {
		tokens[i] = garbage(rnd)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = split(tokens[i%len(tokens)])
	}
}

// BenchmarkSplitMembers is the dearest document that fits into a token: many
// members.
func BenchmarkSplitMembers(b *testing.B) {
	token := []byte("eyJhbGciOiJFUzI1NiJ9." + b64([]byte(manyMembers(maxMembers))) + ".AAAA")
	b.ReportAllocs()
	for b.Loop() {
		if _, r := split(token); r != nil {
			b.Fatal(r)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v, token := benchToken(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, r := reasonOf(b, v, token); r != nil {
			b.Fatal(r)
		}
	}
}

package pgtest

import "testing"

func TestServedBy(t *testing.T) {
	const schema = "a;\nb; -- since 15\nc; -- since then\nd; -- since 17"
	for major, want := range map[int]string{
		14: "a;\nc; -- since then\n",
		15: "a;\nb; -- since 15\nc; -- since then\n",
		18: schema,
	} {
		if got := servedBy(schema, major); got != want {
			t.Errorf("%d keeps %q, want %q", major, got, want)
		}
	}
}

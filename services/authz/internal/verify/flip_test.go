package verify

import "testing"

// TestEveryChangedByteIsRefused changes each character of a good token, cuts it
// at each place and doubles each character: no token but the one that was signed
// is accepted, and none leaves a principal beside its refusal (reasonOf checks).
func TestEveryChangedByteIsRefused(t *testing.T) {
	v, token := benchToken(t)
	for i := range len(token) {
		for _, changed := range []string{
			token[:i] + string(token[i]^1) + token[i+1:],
			token[:i] + "." + token[i+1:],
			token[:i] + "\x00" + token[i+1:],
			token[:i],
			token[:i] + token[i+1:],
			token[:i+1] + token[i:],
		} {
			if changed == token {
				continue
			}
			if _, r := reasonOf(t, v, changed); r == nil {
				t.Fatalf("accepted with a change at %d: %q", i, changed)
			}
		}
	}
	if _, r := reasonOf(t, v, token); r != nil {
		t.Fatal(r)
	}
}

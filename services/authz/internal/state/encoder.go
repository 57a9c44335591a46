package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// encoder writes ledgers as the file holds them. Thousands of revocations may be kept, and
// whoever makes another waits for the file: so what was encoded once is copied from then on.
// The zero value is ready; it is not safe for concurrent use.
type encoder struct {
	// entries and acts are encoded revocations and acts. A message is never changed once it is in
	// a ledger, and one that is here is kept, so that its place in memory is its own.
	entries map[*authzv1.Revocation]json.RawMessage
	acts    map[*authzv1.Revocation]json.RawMessage
	// size is that of the last file.
	size int
}

// keep is a cache of texts for so many items, nil where it holds many that have gone: it is
// made anew then.
func keep(texts map[*authzv1.Revocation]json.RawMessage, items int) map[*authzv1.Revocation]json.RawMessage {
	if texts == nil || len(texts) > 2*items+64 {
		return make(map[*authzv1.Revocation]json.RawMessage, items)
	}
	return texts
}

// encode returns the file that holds a ledger. The caller owns it.
func (e *encoder) encode(l *ledger) ([]byte, error) {
	// The digest's place is filled in when the content is there.
	before := fmt.Sprintf(`{"format":%d,"sha256":"`, format)
	start := before + strings.Repeat("0", 2*sha256.Size) + `","content":`
	out, err := e.appendContent(append(make([]byte, 0, e.size+e.size/8+1024), start...), l)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(out[len(start):])
	hex.Encode(out[len(before):], sum[:])
	e.size = len(out)
	return append(out, "}\n"...), nil
}

// appendContent appends what json.Marshal makes of a content.
func (e *encoder) appendContent(out []byte, l *ledger) ([]byte, error) {
	head := content{Policies: []revisionJSON{}, Catalogs: make(map[string]versionJSON, len(l.catalogs)), Revocation: l.revoked.Count()}
	for _, r := range l.policies {
		head.Policies = append(head.Policies, revisionJSON{r.Number, hex.EncodeToString(r.Digest[:]), r.Loaded})
	}
	for name, v := range l.catalogs {
		head.Catalogs[name] = versionJSON{v.number, hex.EncodeToString(v.digest[:])}
	}
	first, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	out = append(out, first[:len(first)-1]...) // Its brace closes behind the rest.
	entries := l.revoked.Entries()
	e.entries = keep(e.entries, len(entries))
	for i, r := range entries {
		text, ok := e.entries[r]
		if !ok {
			if text, err = json.Marshal(encodeRevocation(r)); err != nil {
				return nil, err
			}
			e.entries[r] = text
		}
		out = append(append(out, separator(i, `,"revocations":[`)...), text...)
	}
	if len(entries) > 0 {
		out = append(out, ']')
	}
	if l.lease != 0 {
		out = fmt.Appendf(out, `,"lease":%d`, int64(l.lease))
	}
	if l.acts.kept() {
		if out, err = e.appendActs(out, l.acts); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// separator is what stands before an item of a list that begins with start.
func separator(i int, start string) string {
	if i == 0 {
		return start
	}
	return ","
}

func (e *encoder) appendActs(out []byte, a acts) ([]byte, error) {
	out = fmt.Appendf(out, `,"acts":{"epoch":"%s","last":%d,"reported":%d`, hex.EncodeToString(a.epoch[:]), a.last, a.reported)
	e.acts = keep(e.acts, len(a.waiting))
	for i, act := range a.waiting {
		text, ok := e.acts[act.Revocation]
		if !ok || act.Revocation == nil {
			var err error
			if text, err = json.Marshal(encodeAct(act)); err != nil {
				return nil, err
			}
			if act.Revocation != nil {
				e.acts[act.Revocation] = text
			}
		}
		out = append(append(out, separator(i, `,"waiting":[`)...), text...)
	}
	if len(a.waiting) > 0 {
		out = append(out, ']')
	}
	return append(out, '}'), nil
}

func encodeAct(act Act) actJSON {
	j := actJSON{Number: act.Number, At: act.At, Caller: act.Caller, Note: act.Note}
	if act.Revocation != nil {
		r := encodeRevocation(act.Revocation)
		j.Revocation = &r
	}
	if act.Policy != nil {
		j.Policy = &revisionJSON{act.Policy.Number, hex.EncodeToString(act.Policy.Digest[:]), act.Policy.Loaded}
	}
	return j
}

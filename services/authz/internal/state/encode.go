package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/revocation"
)

// document is the file: the content, and its digest, so that a flipped bit does
// not turn one number into another.
type document struct {
	Format  int             `json:"format"`
	SHA256  string          `json:"sha256"`
	Content json.RawMessage `json:"content"`
}

// format is the version of the file's form.
const format = 1

// content is written by encoder, which has the same names in the same order.
type content struct {
	Policies []revisionJSON         `json:"policies"`
	Catalogs map[string]versionJSON `json:"catalogs"`
	// Revocation is the number of the last revocation.
	Revocation  uint64           `json:"revocation,omitempty"`
	Revocations []revocationJSON `json:"revocations,omitempty"`
	// Lease is in nanoseconds.
	Lease int64 `json:"lease,omitempty"`
	// Acts are there once they are kept.
	Acts *actsJSON `json:"acts,omitempty"`
}

type actsJSON struct {
	Epoch    string    `json:"epoch"`
	Last     uint64    `json:"last"`
	Reported uint64    `json:"reported"`
	Waiting  []actJSON `json:"waiting,omitempty"`
}

type actJSON struct {
	Number     uint64          `json:"number"`
	At         time.Time       `json:"at"`
	Caller     string          `json:"caller"`
	Note       string          `json:"note,omitempty"`
	Revocation *revocationJSON `json:"revocation,omitempty"`
	Policy     *revisionJSON   `json:"policy,omitempty"`
}

type revocationJSON struct {
	Number       uint64 `json:"number"`
	SHA256       string `json:"sha256,omitempty"`
	TokenID      string `json:"jti,omitempty"`
	Issuer       string `json:"iss,omitempty"`
	Subject      string `json:"sub,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	IssuedBefore int64  `json:"issued_before,omitempty"`
	ExpiresAt    int64  `json:"exp,omitempty"`
}

type revisionJSON struct {
	Revision uint64    `json:"revision"`
	Digest   string    `json:"digest"`
	Loaded   time.Time `json:"loaded"`
}

type versionJSON struct {
	Version uint64 `json:"version"`
	Digest  string `json:"digest"`
}

// decode reads what encode wrote, and nothing else.
func decode(data []byte) (*ledger, error) {
	var d document
	if err := strict(data, &d); err != nil {
		return nil, err
	}
	if d.Format != format {
		return nil, fmt.Errorf("format %d is not the format %d of this version", d.Format, format)
	}
	if sum := sha256.Sum256(d.Content); hex.EncodeToString(sum[:]) != d.SHA256 {
		return nil, errors.New("the content does not match its digest")
	}
	var c content
	err := strict(d.Content, &c)
	if err != nil {
		return nil, err
	}
	l := newLedger()
	for _, r := range c.Policies {
		digest, err := parseDigest(r.Digest)
		if err != nil {
			return nil, err
		}
		l.policies = append(l.policies, Revision{Number: r.Revision, Digest: digest, Loaded: r.Loaded})
	}
	for name, v := range c.Catalogs {
		digest, err := parseDigest(v.Digest)
		if err != nil {
			return nil, err
		}
		l.catalogs[name] = version{number: v.Version, digest: digest}
	}
	if l.revoked, err = decodeRevocations(c); err != nil {
		return nil, err
	}
	if l.acts, err = c.Acts.decode(); err != nil {
		return nil, err
	}
	if c.Lease < 0 {
		return nil, errors.New("a lease is not negative")
	}
	l.lease = time.Duration(c.Lease)
	return l, l.check()
}

func decodeRevocations(c content) (*revocation.List, error) {
	var entries []*authzv1.Revocation
	for _, r := range c.Revocations {
		entry, err := r.decode()
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return revocation.NewList(c.Revocation, entries)
}

func encodeRevocation(r *authzv1.Revocation) revocationJSON {
	return revocationJSON{r.GetNumber(), hex.EncodeToString(r.GetTokenSha256()), r.GetTokenId(),
		r.GetIssuer(), r.GetSubject(), r.GetClientId(), r.GetIssuedBefore(), r.GetExpiresAt()}
}

func (r revocationJSON) decode() (*authzv1.Revocation, error) {
	sum, err := hex.DecodeString(r.SHA256)
	if err != nil {
		return nil, errors.New("a digest has 64 hexadecimal digits")
	}
	return &authzv1.Revocation{Number: r.Number, TokenSha256: sum, TokenId: r.TokenID, Issuer: r.Issuer,
		Subject: r.Subject, ClientId: r.ClientID, IssuedBefore: r.IssuedBefore, ExpiresAt: r.ExpiresAt}, nil
}

func (j *actsJSON) decode() (acts, error) {
	var a acts
	if j == nil {
		return a, nil
	}
	epoch, err := hex.DecodeString(j.Epoch)
	if err != nil || len(epoch) != len(a.epoch) {
		return a, errors.New("an epoch has 32 hexadecimal digits")
	}
	a = acts{epoch: ActEpoch(epoch), last: j.Last, reported: j.Reported}
	for _, w := range j.Waiting {
		act := Act{Number: w.Number, At: w.At, Actor: Actor{Caller: w.Caller, Note: w.Note}}
		if w.Revocation != nil {
			if act.Revocation, err = w.Revocation.decode(); err != nil {
				return a, err
			}
		}
		if w.Policy != nil {
			digest, err := parseDigest(w.Policy.Digest)
			if err != nil {
				return a, err
			}
			act.Policy = &Revision{Number: w.Policy.Revision, Digest: digest, Loaded: w.Policy.Loaded}
		}
		a.waiting = append(a.waiting, act)
	}
	return a, nil
}

// strict decodes one JSON value without unknown fields and with nothing after
// it.
func strict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the end")
	}
	return nil
}

func parseDigest(s string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, errors.New("a digest has 64 hexadecimal digits")
	}
	copy(d[:], b)
	return d, nil
}

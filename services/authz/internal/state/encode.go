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

type content struct {
	Policies []revisionJSON         `json:"policies"`
	Catalogs map[string]versionJSON `json:"catalogs"`
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

// encode writes a ledger as the file holds it.
func (l *ledger) encode() ([]byte, error) {
	c := content{Policies: []revisionJSON{}, Catalogs: make(map[string]versionJSON, len(l.catalogs))}
	for _, r := range l.policies {
		c.Policies = append(c.Policies, revisionJSON{r.Number, hex.EncodeToString(r.Digest[:]), r.Loaded})
	}
	for name, v := range l.catalogs {
		c.Catalogs[name] = versionJSON{v.number, hex.EncodeToString(v.digest[:])}
	}
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	out, err := json.Marshal(document{Format: format, SHA256: hex.EncodeToString(sum[:]), Content: body})
	return append(out, '\n'), err
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
	if err := strict(d.Content, &c); err != nil {
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
	return l, l.check()
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

package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// A message that can only hold a text over the limit is refused without being held: a
// session that sends such takes no more memory than another.

// besideText is how much longer than its text a message may be that is held, in bytes: a
// Parse has 65535 types of parameters, and a name. One whose name is longer than the
// first part of the message is held.
const besideText = 512 << 10

func (s *Session) overlongQuery(ctx context.Context, msg wire.Message) error {
	u, a, err := s.overlong(ctx, msg, auditv1.MessageKind_MESSAGE_KIND_QUERY, decide.UnitQuery)
	if err != nil {
		return err
	}
	return s.substituteQuery(u, a)
}

func (s *Session) overlongParse(ctx context.Context, msg wire.Message) error {
	name, _, _ := bytes.Cut(msg.Body, []byte{0})
	name = bytes.Clone(name)
	u, a, err := s.overlong(ctx, msg, auditv1.MessageKind_MESSAGE_KIND_PARSE, decide.UnitParse)
	if err != nil {
		return err
	}
	return s.substituteParse(u, cutName(name), a)
}

// overlong reads such a message to its end, and refuses it.
func (s *Session) overlong(ctx context.Context, msg wire.Message, message auditv1.MessageKind, kind decide.UnitKind) (*unit, *answer, error) {
	text := textDigest{Hash: sha256.New()}
	if kind == decide.UnitParse {
		text.before = 1
	}
	text.add(msg.Body)
	if err := s.rest(msg, func(part []byte) error { text.add(part); return nil }); err != nil {
		return nil, nil, err
	}
	u := s.begin(ctx, message, kind, nil)
	u.sum = text.Sum(nil)
	return u, s.refuse(u, nil, pgerr.RefusalTooLong, "limit", authzv1.Reason_REASON_LIMIT, "statement text over the limit"), nil
}

// textDigest is the digest of the text in a message that comes in parts: of what lies
// behind so many zero bytes, and before the next.
type textDigest struct {
	hash.Hash
	before int
}

func (d *textDigest) add(part []byte) {
	for d.before >= 0 && len(part) > 0 {
		text, rest, ended := bytes.Cut(part, []byte{0})
		if d.before == 0 {
			d.Write(text)
		}
		if !ended {
			return
		}
		d.before--
		part = rest
	}
}

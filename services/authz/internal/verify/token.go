package verify

import (
	"bytes"
	"encoding/base64"
)

// MaxTokenSize is the longest token that is looked at, in bytes. The startup
// packet of PostgreSQL ends at 10,000 bytes, and a token takes only a part of it.
const MaxTokenSize = 8 << 10

// maxKeyID bounds a kid, which is kept in the cache of unknown ones.
const maxKeyID = 256

// compact is a token taken apart. Nothing in it is verified.
type compact struct {
	alg, kid, typ string
	// hasKid tells an absent kid from an empty one.
	hasKid bool
	claims value
	// payload is what the claims were read from.
	payload []byte
	// input is what the signature covers: header and payload as sent. It aliases
	// the token.
	input     []byte
	signature []byte
}

// split takes a token apart: sizes and form first, then what each part holds. On
// a refusal the claims are there as far as they could be read.
func split(token []byte) (compact, *Refusal) {
	if len(token) == 0 {
		return compact{}, refuse(Malformed, "there is no token")
	}
	if len(token) > MaxTokenSize {
		return compact{}, refuse(Malformed, "the token is longer than 8 KiB")
	}
	// Counted before anything is cut or decoded: five parts are an encrypted token
	// (RFC 7516), and a thousand are an attack on whoever cuts first.
	switch bytes.Count(token, []byte{'.'}) {
	case 2:
	case 4:
		return compact{}, refuse(Malformed, "encrypted tokens are not accepted")
	default:
		return compact{}, refuse(Malformed, "the token is no signed JWT in compact form")
	}
	first := bytes.IndexByte(token, '.')
	last := bytes.LastIndexByte(token, '.')
	header, err := decodeSegment(token[:first])
	if err != nil {
		return compact{}, refuse(Malformed, "the header is not base64url, or missing")
	}
	payload, err := decodeSegment(token[first+1 : last])
	if err != nil {
		return compact{}, refuse(Malformed, "the claims are not base64url, or missing")
	}
	claims, err := parseObject(payload)
	if err != nil {
		return compact{}, refuse(Malformed, "the claims: "+err.Error())
	}
	c := compact{claims: claims, payload: payload, input: token[:last]}
	if r := c.header(header); r != nil {
		return c, r
	}
	// Judged after the header, so that alg=none with its empty signature is called
	// by its name.
	c.signature, err = decodeSegment(token[last+1:])
	if err != nil {
		return c, refuse(Malformed, "the signature is not base64url, or missing")
	}
	return c, nil
}

// header reads the JOSE header. Parameters that carry or name a key (jwk, jku,
// x5c, x5u, x5t) are neither read nor refused: issuers send them, and the key
// comes from the issuer's set whatever they say.
func (c *compact) header(data []byte) *Refusal {
	h, err := parseObject(data)
	if err != nil {
		return refuse(Malformed, "the header: "+err.Error())
	}
	if h.has("crit") {
		return refuse(Malformed, "the header asks for critical extensions, and there are none")
	}
	if b64, ok := h.get("b64"); ok && (b64.kind != kindBool || b64.text != "true") {
		return refuse(Malformed, "the header asks for an unencoded payload")
	}
	if h.has("enc") || h.has("zip") {
		return refuse(Malformed, "encrypted and compressed tokens are not accepted")
	}
	alg, ok := h.get("alg")
	if !ok || alg.kind != kindString {
		return refuse(Algorithm, "the header names no algorithm")
	}
	if !known(alg.text) {
		return refuse(Algorithm, "the header's algorithm is no asymmetric signature that is known here")
	}
	c.alg = alg.text
	if kid, ok := h.get("kid"); ok {
		if kid.kind != kindString || len(kid.text) > maxKeyID {
			return refuse(Malformed, "the header's kid is no string or too long")
		}
		c.kid, c.hasKid = kid.text, true
	}
	if typ, ok := h.get("typ"); ok {
		if typ.kind != kindString {
			return refuse(Type, "the header's typ is no string")
		}
		c.typ = typ.text
	}
	return nil
}

// decodeSegment decodes base64url without padding (RFC 7515 section 2). Go's
// decoder skips line breaks, and without Strict ignores stray bits, so that one
// signature would have many spellings and one token many hashes.
func decodeSegment(s []byte) ([]byte, error) {
	if len(s) == 0 || bytes.ContainsAny(s, "\r\n") {
		return nil, errSyntax
	}
	enc := base64.RawURLEncoding.Strict()
	out := make([]byte, enc.DecodedLen(len(s)))
	n, err := enc.Decode(out, s)
	if err != nil {
		return nil, errSyntax
	}
	return out[:n], nil
}

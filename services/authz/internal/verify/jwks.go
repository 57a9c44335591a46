package verify

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// maxJWKS bounds a key set and a discovery document, in bytes.
const maxJWKS = 64 << 10

// key is a public key that may sign tokens.
type key struct {
	id    string
	hasID bool
	// alg, when set, is the only algorithm the key is for.
	alg    string
	public crypto.PublicKey
	// print identifies key, id and alg together.
	print [sha256.Size]byte
}

// dropped counts the keys of a document that are not used, by why.
type dropped struct {
	// private keys and shared secrets; foreign types, uses and curves; broken or
	// weak ones; and those that share a kid.
	private, foreign, broken, duplicate int
}

func (d dropped) any() bool { return d != dropped{} }

// readKeys reads a JSON Web Key Set (RFC 7517 section 5). One key that cannot be
// used does not spoil the others. A document that is no key set is an error, and
// so is one that lists keys of which none can be used, unless the reason is that
// a private key was published: then nothing signed with it may be believed.
func readKeys(doc []byte) ([]key, dropped, error) {
	var d dropped
	if len(doc) > maxJWKS {
		return nil, d, errors.New("the key set is longer than 64 KiB")
	}
	root, err := parseObject(doc)
	if err != nil {
		return nil, d, fmt.Errorf("read key set: %w", err)
	}
	list, ok := root.get("keys")
	if !ok || list.kind != kindArray {
		return nil, d, errors.New("read key set: it has no array of keys")
	}
	var keys []key
	ids := make(map[string]int)
	for _, item := range list.items {
		if item.kind != kindObject {
			return nil, d, errors.New("read key set: a key is no object")
		}
		if id, ok := item.get("kid"); ok && id.kind == kindString {
			// Counted for every entry, usable or not: two keys under one name are one
			// too many, whichever of them could be used.
			ids[id.text]++
		}
		k, ok := readKey(item, &d)
		if ok {
			keys = append(keys, k)
		}
	}
	keys = slices.DeleteFunc(keys, func(k key) bool {
		twice := k.hasID && ids[k.id] > 1
		if twice {
			d.duplicate++
		}
		return twice
	})
	if len(keys) == 0 && d.any() && d.private == 0 {
		return nil, d, errors.New("read key set: it lists keys, and none of them can be used")
	}
	return keys, d, nil
}

// publicMembers are the members of a public key by its type (RFC 7518 section 6,
// RFC 8037 section 2). Only they are given to the library, so that certificates
// and extensions in a key cannot reach its parser.
func publicMembers(kty string) []string {
	switch kty {
	case "RSA":
		return []string{"n", "e"}
	case "EC":
		return []string{"crv", "x", "y"}
	case "OKP":
		return []string{"crv", "x"}
	default:
		return nil
	}
}

func readKey(item value, d *dropped) (key, bool) {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if item.has(name) {
			d.private++
			return key{}, false
		}
	}
	kty := item.optional("kty")
	members := publicMembers(kty)
	if members == nil || !forSigning(item) {
		d.foreign++
		return key{}, false
	}
	bare := map[string]string{"kty": kty}
	for _, name := range members {
		bare[name] = item.optional(name)
	}
	// The library takes the low 64 bits of a longer exponent. Six bytes are more
	// than agrees lets through.
	if len(bare["e"]) > 8 {
		d.broken++
		return key{}, false
	}
	k := key{}
	var ok bool
	if k.public, ok = publicKey(bare); !ok {
		d.broken++
		return key{}, false
	}
	if id, has := item.get("kid"); has {
		if id.kind != kindString || len(id.text) > maxKeyID {
			d.broken++
			return key{}, false
		}
		k.id, k.hasID = id.text, true
	}
	if alg, has := item.get("alg"); has {
		if alg.kind != kindString || !agrees(alg.text, k.public) {
			d.foreign++
			return key{}, false
		}
		k.alg = alg.text
	}
	if !slices.ContainsFunc(Algorithms(), func(alg string) bool { return agrees(alg, k.public) }) {
		d.foreign++
		return key{}, false
	}
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		d.broken++
		return key{}, false
	}
	k.print = sha256.Sum256(fmt.Appendf(nil, "%t %q %q %x", k.hasID, k.id, k.alg, der))
	return k, true
}

// forSigning checks use and key_ops (RFC 7517 sections 4.2 and 4.3), which may be
// absent.
func forSigning(item value) bool {
	if use, ok := item.get("use"); ok && (use.kind != kindString || use.text != "sig") {
		return false
	}
	ops, ok := item.get("key_ops")
	if !ok {
		return true
	}
	return slices.ContainsFunc(ops.items, func(op value) bool { return op.kind == kindString && op.text == "verify" })
}

// publicKey has the library decode and check the numbers.
func publicKey(bare map[string]string) (crypto.PublicKey, bool) {
	doc, err := json.Marshal(bare)
	if err != nil {
		return nil, false
	}
	parsed, err := jwk.ParseKey(doc)
	if err != nil {
		return nil, false
	}
	public, err := jwk.PublicRawKeyOf(parsed)
	if err != nil {
		return nil, false
	}
	return public, true
}

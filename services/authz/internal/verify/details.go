package verify

// Detail is one grant that the token carries: an element of authorization_details
// (RFC 9396) of type postgresql. A list that is nil was not there. What the words
// in it mean is policy's to say.
type Detail struct {
	Databases, Actions, Objects, Columns, Presets []string
	// HasRows is set when the detail has a row filter.
	HasRows bool
}

// Bounds beside those of the token itself.
const (
	maxDetails     = 64
	maxDetailItems = 256
)

// detailType is the type whose form is fixed here.
const detailType = "postgresql"

// readDetails reads authorization_details. Elements of another type are for
// another resource server and give nothing here: a token need not be filtered by
// audience (RFC 9396 section 9.1 recommends it), and an element only ever adds.
// An element of our type that is not exactly in its form refuses the whole token:
// no authorization server may issue it (section 5), so whoever did and whoever
// reads it would disagree on what it grants.
func readDetails(c value) ([]Detail, *Refusal) {
	claim, ok := c.get("authorization_details")
	if !ok {
		return nil, nil
	}
	if claim.kind != kindArray || len(claim.items) > maxDetails {
		return nil, refuse(ClaimsInvalid, "the claim authorization_details is no array, or too long")
	}
	var out []Detail
	for _, item := range claim.items {
		kind, ok := item.get("type")
		if item.kind != kindObject || !ok || kind.kind != kindString {
			return nil, refuse(ClaimsInvalid, "an element of authorization_details has no type")
		}
		if kind.text != detailType {
			continue
		}
		d, ok := readDetail(item)
		if !ok {
			return nil, refuse(ClaimsInvalid, "an element of authorization_details is malformed")
		}
		out = append(out, d)
	}
	return out, nil
}

// readDetail reads one element; a member that is unknown, null, of another type
// or empty makes it malformed.
func readDetail(item value) (d Detail, ok bool) {
	for _, m := range item.members {
		var to *[]string
		switch m.name {
		case "type":
			continue
		case "rows":
			if m.value.kind != kindString || m.value.text == "" {
				return Detail{}, false
			}
			d.HasRows = true
			continue
		case "databases":
			to = &d.Databases
		case "actions":
			to = &d.Actions
		case "objects":
			to = &d.Objects
		case "columns":
			to = &d.Columns
		case "presets":
			to = &d.Presets
		default:
			return Detail{}, false
		}
		if m.value.kind != kindArray || len(m.value.items) == 0 || len(m.value.items) > maxDetailItems {
			return Detail{}, false
		}
		for _, s := range m.value.items {
			if s.kind != kindString {
				return Detail{}, false
			}
			*to = append(*to, s.text)
		}
	}
	return d, true
}

// claimsOf are all claims as plain JSON values, for the conditions of a policy.
// They are bounded by the token's length and depth.
func claimsOf(c value) map[string]any {
	out := make(map[string]any, len(c.members))
	for _, m := range c.members {
		out[m.name] = m.value.native()
	}
	return out
}

// maxExact is the largest number of whole steps of one that a float64 holds.
const maxExact = 1 << 53

// native is a value as string, bool, int64, float64, nil, []any or map[string]any.
func (v value) native() any {
	switch v.kind {
	case kindString:
		return v.text
	case kindBool:
		return v.text == "true"
	case kindNumber:
		f, ok := v.float()
		if !ok {
			return nil
		}
		if i := int64(f); f > -maxExact && f < maxExact && float64(i) == f {
			return i
		}
		return f
	case kindArray:
		out := make([]any, len(v.items))
		for i, item := range v.items {
			out[i] = item.native()
		}
		return out
	case kindObject:
		return claimsOf(v)
	default:
		return nil
	}
}

package resolve

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// matchArguments is func_match_argtypes: the candidates that take arguments of
// these types, exactly or by implicit coercion.
func (r *Resolver) matchArguments(actual []catalog.OID, list []candidate) []candidate {
	var out []candidate
	from := r.sources(actual)
	for i := range list {
		if r.canCoerce(from, list[i].arguments) {
			out = append(out, list[i])
		}
	}
	slices.Reverse(out)
	return out
}

// unknowable reports the first candidate that takes a type which the snapshot
// does not hold (one of another session's temporary types, say): how it compares
// with the others cannot be told.
func (r *Resolver) unknowable(nargs int, list []candidate) *Error {
	for i := range list {
		for _, t := range list[i].arguments[:nargs] {
			if r.Base(t) == 0 {
				return r.known(t)
			}
		}
	}
	return nil
}

// selectCandidate is func_select_candidate of parse_func.c: of several candidates
// that all accept the arguments, the one that fits best, or nil when that cannot
// be told. It may reorder list.
func (r *Resolver) selectCandidate(actual []catalog.OID, list []candidate) *candidate {
	base := make([]catalog.OID, len(actual))
	unknowns := 0
	for i, t := range actual {
		if t == Unknown {
			base[i] = Unknown
			unknowns++
		} else {
			base[i] = r.Base(t)
		}
	}

	// Those with the most exact matches.
	list = best(list, func(c *candidate) (n int) {
		for i, t := range base {
			if t != Unknown && c.arguments[i] == t {
				n++
			}
		}
		return n
	})
	if len(list) == 1 {
		return &list[0]
	}

	// Those with the most exact matches or preferred types of the same category.
	slots := make([]slot, len(base))
	for i, t := range base {
		slots[i].category, _ = r.category(t)
	}
	list = best(list, func(c *candidate) (n int) {
		for i, t := range base {
			if t == Unknown {
				continue
			}
			category, preferred := r.category(c.arguments[i])
			if c.arguments[i] == t || preferred && category == slots[i].category {
				n++
			}
		}
		return n
	})
	if len(list) == 1 {
		return &list[0]
	}
	if unknowns == 0 {
		return nil
	}

	if r.categorise(base, slots, list) {
		kept := slices.DeleteFunc(slices.Clone(list), func(c candidate) bool {
			for i, t := range base {
				if t != Unknown {
					continue
				}
				category, preferred := r.category(c.arguments[i])
				if category != slots[i].category || slots[i].preferred && !preferred {
					return true
				}
			}
			return false
		})
		if len(kept) > 0 {
			list = kept
		}
		if len(kept) == 1 {
			return &list[0]
		}
	}
	return r.lastGasp(base, unknowns, list)
}

// slot is what is known of an argument whose type is not.
type slot struct {
	category byte
	// preferred says that a candidate takes a preferred type of the category there.
	preferred bool
}

// best keeps the candidates of the highest score.
func best(list []candidate, score func(*candidate) int) []candidate {
	top := 0
	kept := list[:0]
	for i := range list {
		n := score(&list[i])
		switch {
		case n > top || len(kept) == 0:
			top = n
			kept = append(kept[:0], list[i])
		case n == top:
			kept = append(kept, list[i])
		}
	}
	return kept
}

// categorise finds a category for each unknown argument: string if a candidate
// takes one there, else what all candidates agree on. It reports false when they
// do not agree.
func (r *Resolver) categorise(base []catalog.OID, slots []slot, list []candidate) bool {
	for i, t := range base {
		if t != Unknown {
			continue
		}
		s := slot{}
		conflict := false
		for j := range list {
			category, preferred := r.category(list[j].arguments[i])
			switch {
			case s.category == 0:
				s = slot{category, preferred}
			case category == s.category:
				s.preferred = s.preferred || preferred
			case category == stringCategory:
				s = slot{category, preferred}
			default:
				conflict = true
			}
		}
		slots[i] = s
		if conflict && s.category != stringCategory {
			return false
		}
	}
	return true
}

// lastGasp assumes that the unknown arguments have the type of the known ones,
// when these all have the same, and takes the candidate that accepts it if there
// is only one.
func (r *Resolver) lastGasp(base []catalog.OID, unknowns int, list []candidate) *candidate {
	if unknowns == len(base) {
		return nil
	}
	known := Unknown
	for _, t := range base {
		switch {
		case t == Unknown:
		case known == Unknown:
			known = t
		case known != t:
			return nil
		}
	}
	for i := range base {
		base[i] = known
	}
	from := r.sources(base)
	var found *candidate
	for i := range list {
		if !r.canCoerce(from, list[i].arguments) {
			continue
		}
		if found != nil {
			return nil
		}
		found = &list[i]
	}
	return found
}

// Package policy reads the policy file and judges accesses by it.
//
// Parse checks the whole file at once and returns an immutable Policy.
// Policy.Grants compiles what a principal is granted, by its scopes and by what its
// token carries, into Grants: an index that answers one access with a few map
// look-ups. It depends on the policy and the principal alone, so a caller may keep
// it under those two. DecideIn applies Grants to what analysis found out about a
// protocol unit, and says whether the answer hung on the time or the client;
// Explain is the same judgement of one access, with the rules behind it.
//
// tree.go reads YAML, report.go collects what is wrong with it; file.go makes rules
// of it, condition.go compiles `when` and literals.go checks what it spells out; detail.go and ceiling.go are for the grants
// of tokens; trial.go judges.
//
// The rules, in the order in which they are applied to an access:
//
//  1. A deny that matches it wins; a deny of usage on a schema matches all that
//     is in it, and a deny of columns all that touches one of them. Wildcards of
//     a deny cover everything, system catalogs and admin included: there, too
//     much is the safe side.
//  2. A grant of the action on the object, without columns, covers it.
//  3. Grants with columns add their columns together; they cover an access to
//     columns that are all among them, and an access that needs any column.
//  4. Usage of a schema is covered when anything in it is granted, usage of a type when
//     anything is granted on a column of that type.
//  5. What a view, a rule or a security definer reaches with its owner's rights
//     (Access.Within) needs no grant; a deny still matches it.
//  6. Nothing else is covered.
//  7. Code that analysis could not look into (Access.Trust) has to be trusted as
//     well: with its extension, or by grants with `trusted: true` that cover the
//     access by themselves.
//
// A rule names a relation as a statement reaches it. Rows of a partition or an
// inheritance child that are read through the parent are read by the parent's
// right, as PostgreSQL checks it (expand_inherited_rtentry asks for no right on
// children): neither a grant nor a deny of the child counts there. Who must not
// read a child's rows is not to be granted the parent, or a deny names both.
//
// Statements that take the whole session back to where it started touch nothing; the
// preset session allows them.
//
// A grant whose condition does not hold, or cannot be told, is as if it were not
// there; a deny is so only when its condition is known not to hold.
//
// Wildcards of a grant never cover admin, schemas whose name begins with pg_,
// information_schema, and the settings role and session_authorization; nor does what
// stands for a placeholder of a template. What is to be granted there is named in full.
//
// The package is pure: no clock, network, file or log.
package policy

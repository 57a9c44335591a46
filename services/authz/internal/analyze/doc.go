// Package analyze says what a unit of SQL would touch, without running it.
//
// Analyze takes the text of one Query or Parse message and a catalog snapshot
// and answers with an access.Analysis: the accesses each statement needs, or why
// the unit is not forwarded. It knows no policy; what is granted is judged
// afterwards, on the same analysis whether the answer is yes or no.
//
// # Stages
//
//  1. lexer.go, precheck.go: one linear pass in Go that bounds length, nesting,
//     chains and tokens. The C parser recurses, so nothing unbounded reaches it.
//  2. parse_cgo.go: PostgreSQL's own grammar, through pg_query_go. This is the only
//     package that imports it: a crash in C cannot be recovered, and the proxy must
//     stay a static binary. shape.go then refuses every node type and every field
//     that the walker does not account for; skew.go refuses what an older server
//     reads differently.
//  3. The walker binds names and types as PostgreSQL's parse analysis does, in its
//     order, on top of package resolve: scope.go, from.go, rangefunction.go, sample.go,
//     cte.go (range table, visibility), column.go (column references), select.go,
//     setop.go, target.go, sort.go, window.go, dml.go, insert.go, truncate.go
//     (statements), expr.go, conditional.go, operator.go, sublink.go, function.go,
//     composite.go, xml.go, json.go, jsontable.go (expressions), typename.go. value.go
//     is what is known of a bound expression, coerce.go turns it into another type and
//     settles what literals and parameters are.
//     judge.go judges every function, operator and cast found, by package builtin's
//     classes; naming.go and lookup.go judge literals that name an object by what they
//     name. Where the name comes from elsewhere, the function must be granted, or the
//     catalog that it is looked up in.
//  4. What a statement reads and runs beyond its text: view.go and updatable.go
//     (views), body.go (functions), code.go and stored.go (checks, defaults, indexes),
//     trigger.go, rule.go, security.go (row security), write.go (foreign keys). Each
//     text of the catalog is bound by an analyzer of its own, which nested.go makes.
//
// # What it promises
//
// Unless a comment says otherwise the model is PostgreSQL 14 to 18:
// parse_relation.c, parse_clause.c, parse_target.c, parse_cte.c, analyze.c and the
// checks of ExecCheckPermissions. Whatever is not handled is denied: each switch
// has a default branch that says no. The access a statement needs is that which
// PostgreSQL would check, column by column; where that cannot be told (an arbiter
// constraint named by name) the whole relation is asked for. What PostgreSQL's
// planner throws away before rights are checked (a CTE that nothing names, a
// subquery that a constant makes superfluous) is asked for all the same.
//
// The package is pure: no context, clock, log, network or mutable state. A call
// costs time linear in the text and in the catalog rows it names, but for name
// look-ups, which are bounded by Limits.Work.
package analyze

// Package oracle holds Scopewire's verdicts against PostgreSQL's own. It is test
// support: no service links it.
//
// # How a statement is compared
//
//  1. world.go writes the SQL of a random database: tables of many types, views,
//     functions, sequences, triggers, partitions, several schemas with the same
//     names. database.go loads it and reads back what came of it, as a snapshot, the
//     way the service reads it.
//  2. grants.go deals out random grants, and says them twice: as GRANT statements
//     for a role of the server's, and as a policy file.
//  3. writer.go and its kin write random statements over whatever the model
//     holds. mutate.go bends given ones: regress.go replays PostgreSQL's own
//     regression suite, which script.go cuts as psql does.
//  4. server.go runs each statement as that role, in a transaction that is rolled
//     back; judge.go asks analysis and policy.
//  5. compare.go names the difference. Allowing what the role is refused, or what
//     does not exist, is a failure, always. Denying what the role may do is a failure unless a
//     rule of testdata/explained.yaml says why; where
//     the denial itself tells little, the server has to show it as well (proofs.go): by what the
//     statement leaves behind (left.go), by what the server tells the role (told.go). Whatever else a difference is put down to is
//     proved by the server: prove.go takes what is said to stand behind a refusal out of
//     the way and asks again; trees.go reads the server's own query and plan trees, for
//     what the planner drops; reached.go counts calls, for code that no row led to.
//  6. minimise.go makes a difference small, by dropping tokens, grants and parts of
//     the schema; found.go keeps it as a file of testdata/found, which every
//     run replays.
//
// ran.go looks the other way: what functions of users the server called while it planned and
// ran a statement as the login, also those for which PostgreSQL asks nobody for
// execute. Analysis must have asked for each, or for trust in what it belongs to. Its worlds
// (ran_world.go) are full of operators, operator classes and statistics, its statements
// (ran_writer.go) of comparisons.
//
// chain_test.go compares messages of several statements, each of which changes what those
// after it mean (package chains writes them). That the catalog that they are judged by is
// the server's own is held there where it is made, in package analyze.
//
// Two more go without chance. listed.go compares statements that stand in
// testdata/listed, for forms of SQL that neither generator nor suite has. suite_judge.go has
// every statement of the regression suite judged while the suite runs, by a policy that
// grants everything: what is denied all the same needs a rule of testdata/suite.yaml.
//
// # What PostgreSQL's answer means
//
// SQLSTATE 42501 is a refusal. No error is leave. Errors of data (class 22, 23, …)
// can come before rights are looked at (a constant that is no number) and after,
// so they say neither; but where the login gets the same error, no right would have
// helped. An error about names says that nothing would have run.
//
// The role has the rights that DESIGN takes for the baseline: PUBLIC's default
// rights are revoked, a grant on an object brings usage of its schema. What the
// planner drops before rights are checked (a branch that a constant decides, a
// CTE that nobody names) analysis asks for all the same: the writer avoids it,
// and trees.go proves it where it happens.
package oracle

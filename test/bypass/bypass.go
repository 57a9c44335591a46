// Package bypass holds attacks on Scopewire, as cases that are never removed, and
// beside them legitimate statements that a naive product would refuse.
//
// The attacker's token reads orders, order_items, and of customers id and name. A case
// runs as a Query and, where it is one statement, as a Parse; it passes when it is
// denied and the server has seen nothing of it.
//
// The files of testdata, one a class:
//
//	read      rows and columns that are not granted
//	spelling  the same, hidden in how a text is written
//	lookup    names, types and sizes of what is not granted
//	code      functions, operators, casts and types that run something
//	session   settings, other sessions, files, the server
//	write     changes
//	ddl       definitions, maintenance and administration
//	encoding  ways to move the borders of literals
//	twins     pairs of a hidden and a missing name, whose answers must be alike
//	utility   settings, prepared statements, cursors and locks that are legitimate
//	allow     legitimate statements; allow_types those of expressions and types
//	view, body, itself, merge, order   what relations and functions read, write and run by
//	          themselves, with statements that are allowed; relations.sql is their schema
//	cross     expressions times places; cross_write for a token that writes
//	script    what random scripts are made of: transactions, temporary objects, definitions,
//	          prepared statements, cursors and COPY; script.sql is their schema
//
// PostgreSQL judges too: read, allow and cross are run by a role that holds exactly
// the token's grants. What it refuses must not come through; what is called
// legitimate it must run. Where it does not refuse an attack on rows, the case says
// why.
package bypass

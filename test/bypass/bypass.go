// Package bypass holds attacks on Scopewire, as cases that are never removed, and
// beside them legitimate statements that a naive product would refuse.
//
// The attacker's token reads orders, order_items, and of customers id and name.
// It is also granted views, a table with row security and their kin by name, which
// this version does not judge and must deny all the same. A case runs as a Query
// and, where it is one statement, as a Parse; it passes when it is denied and the
// server has seen nothing of it.
package bypass

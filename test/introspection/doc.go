// Package introspection shows that tools find their way about a database through
// Scopewire under the preset introspection: psql's backslash commands, and what
// SQLAlchemy, Django, ActiveRecord and JDBC ask. It holds tests alone; each compares
// what a tool prints through Scopewire with what it prints for the login itself.
package introspection

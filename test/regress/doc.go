// Package regress runs PostgreSQL's own regression suite through Scopewire.
//
// Two worlds are alike but for one thing: in one psql speaks to PostgreSQL, in the
// other to the proxy in front of it, with a token that may do everything and whose
// code is trusted. Both take every script of the suite's schedule in its order. What
// psql prints has to be the same, byte for byte; scripts that cannot be are listed
// in testdata/explained.yaml with the reason, and a script that is listed and is the
// same fails as well.
//
// The suite's scripts and the library regress.so come from Debian's source package of
// the installed major version: scripts/oracle-tools fetches it, and the package
// postgresql-server-dev is needed to build the library. Nothing of either is kept here.
package regress

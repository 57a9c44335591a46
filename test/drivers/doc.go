// Package drivers runs real client drivers against an address, directly or
// through the proxy, and compares what they see.
//
// A script does what an application does, allowed and denied, and prints one
// line per step. The lines that it prints against PostgreSQL, for a role with
// the same rights as GRANTs, are the expected ones, kept in testdata: a test
// here proves that they are PostgreSQL's, and a test with a proxy needs no other
// oracle.
package drivers

// Package pgtest gives tests a real PostgreSQL.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		dsn := pgtest.NewDatabase(t, "create table orders (id int)")
//		…
//	}
//
// One server, booted by the first test that asks, serves all tests of a package
// that has Main; Main stops it and fails the run when goroutines are left.
// Without Main, the server lives as long as some test uses it. Tests never skip:
// where no server can be had, they fail and say what to install.
//
// Recorder stands between a proxy and the server and keeps every byte, for tests
// of what must never reach the server.
package pgtest

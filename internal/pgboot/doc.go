// Package pgboot boots a real PostgreSQL server for the demo and for tests, and
// leaves nothing behind.
//
//	srv, err := pgboot.Start(ctx, pgboot.Config{TCP: true})
//	defer srv.Stop(ctx)
//	conn, err := pgx.Connect(ctx, srv.ConnString("postgres"))
//
// What Start does, in order:
//
//  1. It finds server programs: $PG_BIN, else the newest version installed on
//     the machine, else the copy cached by an earlier run, else it fetches one
//     (see Config.Offline) and says so on Config.Progress.
//  2. It makes a folder with a short name, since the path of a unix socket has
//     at most 107 bytes, and starts the janitor: a shell that waits for the end
//     of a pipe which this process holds. However this process ends, Ctrl-C and
//     kill -9 included, the janitor ends the server and removes the folder.
//  3. It runs initdb (UTF8, C locale, SCRAM for every connection) with a random
//     superuser password, which travels in a file of mode 0600, never in the
//     environment or on a command line.
//  4. It starts the server and waits until postmaster.pid says ready.
//
// PostgreSQL refuses to run as root. For root, the programs are started in a
// user namespace in which root appears as nobody (65534), so no file changes
// hands and no account is needed. Where namespaces are forbidden, they run with
// the real uid 65534 and the folder is given to it.
//
// The package is an exception to the rule that files, processes and clocks go
// through internal/sys: it exists to run real programs on the real machine, and
// a simulated one could not boot a server.
package pgboot

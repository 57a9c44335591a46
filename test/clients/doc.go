// Package clients shows that real programs work through Scopewire without knowing of
// it: migration tools, dump and restore, benchmarks and drivers. It holds tests alone.
//
// Two worlds are alike but for one thing: in one a client speaks to PostgreSQL as the
// login, in the other to the proxy in front of it with a token. Each client is a program
// in its own language under scripts, or one that PostgreSQL brings; what it prints has to
// be the same on both sides. A client that is not installed is skipped by name:
// scripts/test-clients gets them.
package clients

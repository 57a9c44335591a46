// Package e2e tests the product as people use it: with psql, pgx and
// node-postgres, as one process and as three, with good input and bad.
package e2e

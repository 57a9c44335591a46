// Package rules holds the rules of the repository as tests: who may import whom,
// what a source file may hold, what no file may mention, and that every threat
// marked as covered has its test.
//
// Each rule says why it exists in the message of its failure. An exception is a
// line in a table here, with its reason.
package rules

//go:generate go test . -count=1 -run TestThreatsAndTestsAgree -update

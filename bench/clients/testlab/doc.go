// Package testlab is what tests with the programs of package clients have in common: a
// lab that ends with its test, a deadline, and the rule for a program that is missing.
// It starts nothing of its own.
package testlab

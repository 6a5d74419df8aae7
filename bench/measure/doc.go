// Package measure is what the benchmarks and the tests with foreign programs share
// apart from the programs themselves: made-up content that is the same on every
// machine, comparing files and folders byte by byte, medians, tables, and the
// description of the machine that goes with every figure. It starts nothing and
// measures no time of its own.
package measure

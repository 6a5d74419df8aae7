// Package term is what a person sees of a command: messages and bars on a terminal, tables
// in columns, QR codes. It knows nothing of nodes.
//
// It never judges whether a text is safe to show: names from elsewhere come to it through
// api.Safe. Into a pipe it writes messages and tables only, without colour.
package term

// Package locate runs the ways of finding candidates for shares, and of being found: the
// Mainline DHT, the local network, the members of a group and their DHT. Each is a Locator;
// the Desk tells every one of them which shares are here and asks all of them at once for
// peers of a share that wants some.
//
// Who may hear of a share is decided in one place (Permitted): a way on which strangers
// listen never hears of a private share or of one that belongs to groups. The Desk never
// dials and never judges an address that was found; it knows of a share what an Offer says.
package locate

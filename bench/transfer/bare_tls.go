//go:build linux

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"time"

	"github.com/libp2p/go-yamux/v5"
)

// bareTLS is the name of the limit program for what is encrypted.
const bareTLS = "bare-tls"

// secure lays on a connection what go-libp2p does, with nothing around it: TLS 1.3 and
// one stream of yamux, with libp2p's settings of both. Who is at the other end is not
// looked at.
func secure(c net.Conn, accepted bool) (net.Conn, error) {
	settings := yamux.DefaultConfig()
	settings.MaxStreamWindowSize, settings.ReadBufSize, settings.LogOutput = 16<<20, 0, io.Discard
	if !accepted {
		// No certificate is asked for by a name: nobody but the two ends of this
		// benchmark is there.
		session, err := yamux.Client(tls.Client(c, &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}), settings, nil)
		if err != nil {
			return nil, err
		}
		s, err := session.OpenStream(context.Background())
		if err == nil {
			_, err = s.Write([]byte{0}) // with it the stream begins
		}
		return s, err
	}
	certificate, err := ownCertificate()
	if err != nil {
		return nil, err
	}
	session, err := yamux.Server(tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}), settings, nil)
	if err != nil {
		return nil, err
	}
	s, err := session.AcceptStream()
	if err == nil {
		_, err = io.ReadFull(s, make([]byte, 1))
	}
	return s, err
}

// ownCertificate is one of an Ed25519 key, as libp2p's.
func ownCertificate() (tls.Certificate, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

package overlay

import (
	"io"
	"testing"
)

// One stream on loopback, both ends on this machine: what the carrier costs at most.

func BenchmarkStreamTCP(b *testing.B)   { benchStream(b, TCP) }
func BenchmarkStreamQUIC(b *testing.B)  { benchStream(b, QUIC) }
func BenchmarkStreamRelay(b *testing.B) { benchStream(b, Relay) }

func benchStream(b *testing.B, carrier string) {
	const chunk = 256 << 10
	for _, c := range carriers {
		if c.name != carrier {
			continue
		}
		from, to := c.pair(b)
		done := make(chan error, 1)
		to.Handle("/shoal/test/sink", func(s *Stream) {
			defer s.Close()
			buf := make([]byte, chunk)
			var err error
			for err == nil {
				_, err = io.ReadFull(s, buf)
			}
			done <- err
		})
		s, err := from.Open(ctx(b), to.ID(), "/shoal/test/sink")
		if err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, chunk)
		b.SetBytes(chunk)
		b.ResetTimer()
		for range b.N {
			if _, err := s.Write(buf); err != nil {
				b.Fatal(err)
			}
		}
		s.CloseWrite()
		if err := <-done; err != io.EOF {
			b.Fatal(err)
		}
	}
}

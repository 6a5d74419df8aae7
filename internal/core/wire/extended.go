package wire

import "encoding/binary"

// The extended message ids (BEP 10) under which this program wants to receive
// each extension; they are what Local announces. A peer has its own numbers: what
// is sent to it bears those of its handshake.
const (
	ExtHandshakeID byte = 0 // the same for everybody
	ExtPEX         byte = 1
	ExtMetadata    byte = 2
	ExtUploadOnly  byte = 3
	ExtDontHave    byte = 7
)

// Extensions are the ids under which a peer receives each extension (BEP 10
// "m"). Zero means that it doesn't.
type Extensions struct {
	Metadata   byte // ut_metadata, BEP 9
	PEX        byte // ut_pex, BEP 11
	DontHave   byte // lt_donthave, BEP 54
	UploadOnly byte // upload_only, BEP 21 as a message of its own
	HolePunch  byte // ut_holepunch, BEP 55: read, never announced
}

// Local is what this program announces. A private share has no PEX (BEP 27).
func Local(private bool) Extensions {
	e := Extensions{Metadata: ExtMetadata, PEX: ExtPEX, DontHave: ExtDontHave, UploadOnly: ExtUploadOnly}
	if private {
		e.PEX = 0
	}
	return e
}

// ParseExtended splits the payload of an extended message into its extended id
// and body, a view. An id that was never announced is to be ignored.
func ParseExtended(payload []byte) (ext byte, body []byte, err error) {
	if len(payload) == 0 {
		return 0, nil, wrongLength(Extended, 0)
	}
	return payload[0], payload[1:], nil
}

// AppendExtended appends a whole extended message.
func AppendExtended(dst []byte, ext byte, body []byte) []byte {
	dst = append(appendHeader(dst, Extended, 1+len(body)), ext)
	return append(dst, body...)
}

// beginExtended appends the head of an extended message whose length is not
// known yet; endExtended sets it when the body stands.
func beginExtended(dst []byte, ext byte) []byte {
	return append(appendHeader(dst, Extended, 1), ext)
}

func endExtended(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-prefixLen))
	return dst
}

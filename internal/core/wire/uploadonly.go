package wire

import "fmt"

// UploadOnly tells whether the sender still wants anything, when that changes
// after the handshake. BEP 21 has only the handshake's field; the message, one
// byte that is zero or not, is what libtorrent sends as upload_only.
type UploadOnly struct{ On bool }

// ParseUploadOnly reads the body of an upload_only message.
func ParseUploadOnly(body []byte) (UploadOnly, error) {
	if len(body) != 1 {
		return UploadOnly{}, fmt.Errorf("%w: upload only of %d bytes", ErrMalformed, len(body))
	}
	return UploadOnly{body[0] != 0}, nil
}

// Append appends the whole message under the id that the peer gave upload_only.
func (m UploadOnly) Append(dst []byte, ext byte) []byte {
	dst = append(appendHeader(dst, Extended, 1+1), ext)
	if m.On {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// Size is the size of the whole message in bytes.
func (m UploadOnly) Size() int { return headerLen + 1 + 1 }

package wire

import "encoding/binary"

// PortMsg tells the UDP port of the sender's DHT node (BEP 5 "BitTorrent
// Protocol Extension").
type PortMsg struct{ Port uint16 }

// ParsePort reads the payload of a port message.
func ParsePort(payload []byte) (PortMsg, error) {
	if len(payload) != 2 {
		return PortMsg{}, wrongLength(Port, len(payload))
	}
	return PortMsg{binary.BigEndian.Uint16(payload)}, nil
}

// Append appends the whole message.
func (m PortMsg) Append(dst []byte) []byte {
	return binary.BigEndian.AppendUint16(appendHeader(dst, Port, 2), m.Port)
}

// Size is the size of the whole message in bytes.
func (m PortMsg) Size() int { return headerLen + 2 }

package wire

// IsState tells whether id is a message without payload: choke, unchoke,
// interested, not interested (BEP 3), have all, have none (BEP 6).
func IsState(id ID) bool {
	return id <= NotInterested || id == HaveAll || id == HaveNone
}

// ParseState checks a message for which IsState holds: nothing may follow its
// id.
func ParseState(id ID, payload []byte) error {
	if !IsState(id) || len(payload) != 0 {
		return wrongLength(id, len(payload))
	}
	return nil
}

// AppendState appends a message without payload, StateLength bytes.
func AppendState(dst []byte, id ID) []byte {
	return appendHeader(dst, id, 0)
}

// StateLength is the size in bytes of a whole message without payload.
const StateLength = headerLen

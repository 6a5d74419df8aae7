package krpc

import (
	"math"
	"math/bits"

	"shoal/internal/core/bencode"
)

// limits keep the time of a datagram in proportion: no honest one is deeper or holds more.
var limits = bencode.Limits{Depth: 32, Tokens: 4096}

// valueLimits are those of a stored value alone, which stands two dictionaries deep.
var valueLimits = bencode.Limits{Depth: limits.Depth - 2, Tokens: limits.Tokens}

// Looks tells whether a datagram could be a message, by its first and last bytes: a dictionary whose first key is one to
// nine bytes long. It is enough to tell it from µTP and QUIC packets on the same port, and no more.
func Looks(b []byte) bool {
	return len(b) > 4 && b[0] == 'd' && b[1] >= '1' && b[1] <= '9' && b[2] == ':' && b[len(b)-1] == 'e'
}

// Parse reads one message. The error is a *Fault; see Message.Parse.
func Parse(b []byte) (Message, error) {
	var m Message
	err := m.Parse(b)
	return m, err
}

// Parse reads one message into m, whose former content is gone. It keeps nothing of b. The error is a *Fault. After it Kind
// and TID are what was read of them and nothing else of m counts: if Kind is Query, then the Fault can be answered to TID.
func (m *Message) Parse(b []byte) error {
	m.Reset()
	m.room.bytes = reserve(m.room.bytes, 64)
	if len(b) > MaxDatagram {
		return faultSize
	}
	if len(b) == 0 || b[0] != 'd' {
		return faultSyntax
	}
	doc, err := bencode.Parse(b, limits)
	if err != nil {
		return faultSyntax
	}
	var top envelope
	top.read(doc)
	tid, ok := top.tid.Bytes()
	if !ok || len(tid) > MaxTID {
		return faultTID
	}
	m.TID = m.keep(tid)
	kind, _ := top.kind.Bytes()
	if version, ok := top.version.Bytes(); ok && len(version) == len(m.Version) {
		m.Version = [4]byte(version)
	}
	if ip, ok := top.ip.Bytes(); ok {
		m.IP = seenAs(ip)
	}
	switch string(kind) {
	case "q":
		m.Kind = Query
		return m.query(&top)
	case "r":
		m.Kind = Response
		if top.answer.Kind() != bencode.Dict {
			return faultAnswer
		}
		return m.fields(top.answer, answerShape)
	case "e":
		m.Kind = Error
		return m.fault(top.fault)
	}
	return faultKind
}

// envelope is the outer dictionary.
type envelope struct{ arguments, fault, ip, method, answer, readOnly, tid, version, kind bencode.Value }

func (e *envelope) read(doc bencode.Value) {
	c := doc.Cursor()
	for c.Enter(); c.More(); {
		switch k := c.Key(); string(k) {
		case "a":
			e.arguments = c.Value()
		case "e":
			e.fault = c.Value()
		case "ip":
			e.ip = c.Value()
		case "q":
			e.method = c.Value()
		case "r":
			e.answer = c.Value()
		case "ro":
			e.readOnly = c.Value()
		case "t":
			e.tid = c.Value()
		case "v":
			e.version = c.Value()
		case "y":
			e.kind = c.Value()
		default:
			c.Value()
		}
	}
}

func (m *Message) query(e *envelope) error {
	name, ok := e.method.Bytes()
	if !ok {
		return faultMethod
	}
	for i := Ping; i <= SampleInfohashes; i++ {
		if string(name) == methods[i] {
			m.Method = i
		}
	}
	if e.readOnly.Kind() != bencode.Invalid {
		n, ok := e.readOnly.Int()
		if !ok {
			return faultReadOnly
		}
		m.ReadOnly = n != 0
	}
	if e.arguments.Kind() != bencode.Dict {
		return faultArguments
	}
	return m.fields(e.arguments, queryShape[m.Method])
}

// fault reads the list of an error: a code and a text, and what follows is not looked at.
func (m *Message) fault(v bencode.Value) error {
	if v.Kind() != bencode.List {
		return faultError
	}
	c := v.Cursor()
	c.Enter()
	if !c.More() {
		return faultError
	}
	code, ok := c.Value().Int()
	if !ok || code < math.MinInt32 || code > math.MaxInt32 || !c.More() {
		return faultError
	}
	text, ok := c.Value().Bytes()
	if !ok {
		return faultError
	}
	m.Code, m.Text = int(code), string(text[:min(len(text), MaxText)])
	return nil
}

// fields reads the arguments or the answer.
func (m *Message) fields(v bencode.Value, want shape) error {
	var seen field
	c := v.Cursor()
	for c.Enter(); c.More(); {
		f := fieldOf(c.Key()) & want.may
		x := c.Value()
		if f == 0 {
			continue
		}
		seen |= f
		if err := m.field(f, x); err != nil {
			return err
		}
	}
	if missing := want.must &^ seen; missing != 0 {
		return &faultMissing[bits.TrailingZeros32(uint32(missing))]
	}
	m.HasTarget = seen&(fTarget|fInfoHash) != 0
	if !m.HasSamples { // what they are said of
		m.Interval, m.Num = 0, 0
	}
	switch {
	case m.Method == AnnouncePeer && !m.ImpliedPort && m.Port == 0:
		return faultPort
	case (m.Method == AnnouncePeer || m.Method == Put) && len(m.Token) == 0:
		return faultToken
	case m.Kind == Query && m.Method != Put: // the seq of a get is any number
	case seen&(fKey|fSig) != 0 || m.Method == Put && seen&(fSalt|fSeq) != 0 || seen&(fSeq|fValue) == fSeq|fValue:
		if seen&mutable != mutable {
			return faultMutable
		}
		m.Item.Mutable = true
	default:
		m.CAS, m.HasCAS = 0, false // BEP 44: it is for mutable items only
	}
	if m.Item.Seq < 0 && (m.Item.Mutable || m.Kind == Response) {
		return bad(fSeq)
	}
	return nil
}

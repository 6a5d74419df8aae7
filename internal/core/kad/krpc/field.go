package krpc

// field is one key of the arguments or of the answer; a set of them is their sum. They stand in the order of the names
// as raw bytes, which is the order they are written in.
type field uint32

const (
	fCAS field = 1 << iota
	fID
	fImplied
	fInfoHash
	fInterval
	fKey
	fNodes
	fNodes6
	fNum
	fPort
	fSalt
	fSamples
	fSeq
	fSig
	fTarget
	fToken
	fValue
	fValues
	fWant
)

// names are the fields' keys.
var names = [...]string{"cas", "id", "implied_port", "info_hash", "interval", "k", "nodes", "nodes6", "num", "port", "salt",
	"samples", "seq", "sig", "target", "token", "v", "values", "want"}

// shape is what a dictionary may and must hold.
type shape struct{ may, must field }

// Of a query: by method. What else stands in it is not looked at.
var queryShape = [...]shape{
	Unknown:          {may: fID | fTarget | fInfoHash | fWant},
	Ping:             {may: fID, must: fID},
	FindNode:         {may: fID | fTarget | fWant, must: fID | fTarget},
	GetPeers:         {may: fID | fInfoHash | fWant, must: fID | fInfoHash},
	AnnouncePeer:     {may: fID | fImplied | fInfoHash | fPort | fToken, must: fID | fInfoHash | fToken},
	Get:              {may: fID | fSeq | fTarget | fWant, must: fID | fTarget},
	Put:              {may: fCAS | fID | fKey | fSalt | fSeq | fSig | fToken | fValue, must: fID | fToken | fValue},
	SampleInfohashes: {may: fID | fTarget | fWant, must: fID | fTarget},
}

// Of an answer: it doesn't say to what, so it is read as any.
var answerShape = shape{
	may: fID | fInterval | fKey | fNodes | fNodes6 | fNum | fSamples | fSeq | fSig | fToken | fValue | fValues, must: fID,
}

// mutable is what a mutable item has, and all of it.
const mutable = fKey | fSeq | fSig | fValue

// fieldOf finds a key's field, 0 if it has none.
func fieldOf(key []byte) field {
	for i, name := range names {
		if string(key) == name {
			return 1 << i
		}
	}
	return 0
}

// Faults. They are made once, so that refusing costs no memory.
var (
	faultSize      = &Fault{CodeProtocol, "a datagram of more than 65,535 bytes"}
	faultSyntax    = &Fault{CodeProtocol, "not a bencoded dictionary"}
	faultTID       = &Fault{CodeProtocol, "no transaction id of at most 32 bytes"}
	faultKind      = &Fault{CodeProtocol, "neither query, answer nor error"}
	faultAnswer    = &Fault{CodeProtocol, "an answer without r"}
	faultError     = &Fault{CodeProtocol, "an error that is no list of a code and a text"}
	faultMethod    = &Fault{CodeProtocol, "no method"}
	faultArguments = &Fault{CodeProtocol, "no arguments"}
	faultReadOnly  = &Fault{CodeProtocol, "bad ro"}
	faultPort      = &Fault{CodeProtocol, "no port from 1 to 65535"}
	faultMutable   = &Fault{CodeProtocol, "k, seq, sig and v belong together"}
	faultToken     = &Fault{CodeProtocol, "no token of 1 to 128 bytes"}
	faultValue     = &Fault{CodeProtocol, "v is not canonical bencoding"}
	faultValueSize = &Fault{CodeValueSize, "v is over 1000 bytes"}
	faultSaltSize  = &Fault{CodeSaltSize, "salt is over 64 bytes"}
	faultSignature = &Fault{CodeSignature, "the signature does not fit"}
	faultBad       = faultsOf("bad ")
	faultMissing   = faultsOf("no ")
)

// faultsOf makes a fault for each field.
func faultsOf(what string) (list [len(names)]Fault) {
	for i, name := range names {
		list[i] = Fault{CodeProtocol, what + name}
	}
	return list
}

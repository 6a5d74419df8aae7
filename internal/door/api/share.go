package api

import "time"

// State says what a share is doing.
type State string

// The states of a share.
const (
	StateMetadata    State = "metadata"    // a link whose description has not come yet
	StateChecking    State = "checking"    // data on disk is being verified
	StateDownloading State = "downloading" // pieces are wanted and asked for
	StateSeeding     State = "seeding"     // everything that is wanted is here, and offered
	StatePaused      State = "paused"      // a person said so
	StateFailed      State = "failed"      // something stands in its way: see Problem
)

// Origin says how a share came to this node.
type Origin string

// The origins of a share.
const (
	OriginShare Origin = "share" // published in place; its files are never written or deleted
	OriginGet   Origin = "get"   // fetched; its files may be removed by `rm --data`
)

// Share is one share at one moment: what `ls` shows a line of.
type Share struct {
	InfoHash   string `json:"info_hash" doc:"v2 info hash in 64 hex digits if known, else v1 in 40"`
	InfoHashV1 string `json:"info_hash_v1,omitempty" doc:"SHA-1 info hash, 40 hex digits"`
	InfoHashV2 string `json:"info_hash_v2,omitempty" doc:"SHA-256 info hash, 64 hex digits"`
	Name       string `json:"name" doc:"name of the file or folder, made safe for a path"`
	Path       string `json:"path" doc:"where it lies or will lie on this machine"`
	Link       string `json:"link" doc:"magnet link"`
	Format     string `json:"format,omitempty" doc:"v1, v2 or hybrid; empty until the description has come"`
	Origin     Origin `json:"origin" enum:"share,get"`
	State      State  `json:"state" enum:"metadata,checking,downloading,seeding,paused,failed"`
	Problem    string `json:"problem,omitempty" doc:"what stands in its way, in one line"`
	Code       Kind   `json:"problem_code,omitempty" doc:"kind of the problem"`
	Private    bool   `json:"private,omitempty" doc:"BEP 27: peers come from its trackers only"`
	// Groups are the audience; none: everybody who has the link.
	Groups []GroupRef `json:"groups,omitempty" doc:"groups whose members alone see and fetch it; absent: everybody who has the link"`

	Bytes       int64 `json:"bytes" doc:"size of all files"`
	BytesWanted int64 `json:"bytes_wanted" doc:"size of the selected files"`
	BytesDone   int64 `json:"bytes_done" doc:"verified bytes of the selected files"`
	Files       int   `json:"files" doc:"number of files"`
	Pieces      int   `json:"pieces" doc:"number of pieces"`
	PiecesDone  int   `json:"pieces_done" doc:"number of verified pieces"`

	Downloaded int64   `json:"downloaded" doc:"payload received since it was added"`
	Uploaded   int64   `json:"uploaded" doc:"payload sent since it was added"`
	Wasted     int64   `json:"wasted" doc:"payload received that was of no use"`
	DownRate   Rate    `json:"down_rate" doc:"payload bytes a second coming in"`
	UpRate     Rate    `json:"up_rate" doc:"payload bytes a second going out"`
	ETA        float64 `json:"eta,omitempty" doc:"seconds until it is complete at this rate; absent if unknown"`
	Checked    float64 `json:"checked,omitempty" doc:"part of a verification that is done, 0 to 1"`

	Peers      int `json:"peers" doc:"connected peers"`
	Seeds      int `json:"seeds" doc:"connected peers that have everything"`
	Candidates int `json:"candidates" doc:"known addresses that may lead to a peer"`

	Added     time.Time `json:"added" doc:"when it came to this node"`
	Completed time.Time `json:"completed,omitzero" doc:"when the last wanted piece was verified"`
	// Result is what the `done` event told, once the share is complete.
	Result *Done `json:"result,omitempty" doc:"what the done event told"`
}

// Detail is all that `show` tells of a share.
type Detail struct {
	Share
	PieceLength int64           `json:"piece_length"`
	Padding     int64           `json:"padding,omitempty" doc:"bytes of BEP 47 padding in the piece space"`
	Comment     string          `json:"comment,omitempty"`
	CreatedBy   string          `json:"created_by,omitempty"`
	Created     time.Time       `json:"created,omitzero"`
	WebSeeds    []string        `json:"web_seeds,omitempty"`
	Limits      Limits          `json:"limits"`
	FileList    []File          `json:"file_list" doc:"every file but padding, in piece-space order"`
	PeerList    []Peer          `json:"peer_list" doc:"connected peers"`
	Trackers    []TrackerStatus `json:"trackers"`
	Locators    []LocatorStatus `json:"locators,omitempty" doc:"ways by which its peers were found, with what they yield"`
}

// File is one file of a share.
type File struct {
	Path     string `json:"path" doc:"path beneath the share's folder, separated by /"`
	Raw      string `json:"raw,omitempty" doc:"the path in the metainfo, when it had to be made safe"`
	Bytes    int64  `json:"bytes"`
	Done     int64  `json:"done" doc:"verified bytes"`
	Selected bool   `json:"selected"`
}

// Peer is one connected peer of one share.
type Peer struct {
	Address    string  `json:"address" doc:"host:port of the other end; of a member of one's groups a name for it at which nothing listens"`
	NodeID     string  `json:"node_id,omitempty" doc:"of a member of one's groups: who it is; absent: a BitTorrent connection over TCP"`
	NodeName   string  `json:"node_name,omitempty" doc:"what that member calls itself; data from elsewhere"`
	How        How     `json:"how,omitempty" enum:"tcp,quic,relay" doc:"what carries it; with node_id it is encrypted and of a member"`
	Client     string  `json:"client,omitempty" doc:"what the peer calls itself; data from elsewhere"`
	Incoming   bool    `json:"incoming"`
	Have       float64 `json:"have" doc:"part of the pieces it has, 0 to 1"`
	Downloaded int64   `json:"downloaded" doc:"payload received from it"`
	Uploaded   int64   `json:"uploaded" doc:"payload sent to it"`
	DownRate   Rate    `json:"down_rate"`
	UpRate     Rate    `json:"up_rate"`
	Flags      string  `json:"flags,omitempty" doc:"d/D wanted/unchoked by the peer, u/U wanted/unchoked by us, O optimistic, S snubbed, e fast extension"`
}

// TrackerStatus is what one tracker of a share last said.
type TrackerStatus struct {
	URL      string    `json:"url"`
	Tier     int       `json:"tier"`
	Message  string    `json:"message,omitempty" doc:"its failure or warning; data from elsewhere"`
	Seeders  int       `json:"seeders" doc:"-1: unknown"`
	Leechers int       `json:"leechers" doc:"-1: unknown"`
	Next     time.Time `json:"next,omitzero" doc:"when it will be asked again"`
}

// Limits are the bandwidth limits of the node or of one share.
type Limits struct {
	Up   Rate `json:"up" doc:"bytes a second sent; 0: no limit"`
	Down Rate `json:"down" doc:"bytes a second received; 0: no limit"`
}

// LimitChange sets those limits that are given and leaves the others.
type LimitChange struct {
	Up   *Rate `json:"up,omitempty" doc:"bytes a second sent; 0: no limit"`
	Down *Rate `json:"down,omitempty" doc:"bytes a second received; 0: no limit"`
}

package api

// Limits of requests; each is judged before anything is allocated for it.
const (
	MaxBody     = 1 << 20  // a JSON body
	MaxMetainfo = 64 << 20 // a .torrent
	MaxList     = 256      // trackers, peers, patterns in one request
	MaxText     = 16 << 10 // a link, a path, a comment
	MaxAudience = 16       // groups of one share
)

// AddRequest asks the node to fetch a share: `get`. Exactly one of Link,
// Torrent and URL is given.
type AddRequest struct {
	Link    string `json:"link,omitempty" doc:"magnet link"`
	Torrent []byte `json:"torrent,omitempty" doc:"a .torrent in base64, at most 64 MiB"`
	URL     string `json:"url,omitempty" doc:"http(s) URL of a .torrent; the node fetches it within its scope"`

	Dir        string   `json:"dir" doc:"absolute folder to write NAME into"`
	Select     []string `json:"select,omitempty" doc:"glob patterns of the files wanted (path beneath the share, / separates, ** crosses folders); none: all"`
	Peers      []string `json:"peers,omitempty" doc:"host:port of peers to try first; given by the person, so private addresses are allowed"`
	Sequential bool     `json:"sequential,omitempty" doc:"fetch pieces in order"`
	Limits     Limits   `json:"limits,omitzero"`
}

// CreateRequest asks the node to publish a file or folder in place: `share`.
type CreateRequest struct {
	Path        string   `json:"path" doc:"absolute path of the file or folder"`
	Name        string   `json:"name,omitempty" doc:"name in the metainfo; default: that of the path"`
	Format      string   `json:"format,omitempty" enum:"hybrid,v1,v2" doc:"default: hybrid; v2 with groups"`
	PieceLength int64    `json:"piece_length,omitempty" doc:"power of two from 16 KiB to 16 MiB; default: by size"`
	Trackers    []string `json:"trackers,omitempty" doc:"announce URLs, each in a tier of its own"`
	WebSeeds    []string `json:"web_seeds,omitempty" doc:"BEP 19 URLs"`
	Peers       []string `json:"peers,omitempty" doc:"host:port of peers to connect to"`
	Private     bool     `json:"private,omitempty" doc:"BEP 27: peers come from the trackers only"`
	Comment     string   `json:"comment,omitempty"`
	Limits      Limits   `json:"limits,omitzero"`
	Groups      []string `json:"groups,omitempty" doc:"name or unique prefix of the id of each group whose members alone may see and fetch it, at most 16; goes with neither trackers, web seeds, peers nor private"`
}

// Created tells of a share that was published. Its first fields are those of
// the first line of `share --json`.
type Created struct {
	Link        string  `json:"link"`
	InfoHashV1  string  `json:"info_hash_v1,omitempty"`
	InfoHashV2  string  `json:"info_hash_v2,omitempty"`
	Name        string  `json:"name"`
	Bytes       int64   `json:"bytes"`
	Files       int     `json:"files"`
	Pieces      int     `json:"pieces"`
	Seconds     float64 `json:"seconds" doc:"time it took to hash"`
	InfoHash    string  `json:"info_hash" doc:"v2 info hash if there is one, else v1"`
	Path        string  `json:"path"`
	Format      string  `json:"format" enum:"hybrid,v1,v2"`
	PieceLength int64   `json:"piece_length"`
	Padding     int64   `json:"padding" doc:"bytes of padding that old clients fetch too"`
	NoLink      bool    `json:"no_link,omitempty" doc:"the info dictionary is over 16 MiB: it is not fetched by link, others need the .torrent"`
	Existed     bool    `json:"existed,omitempty" doc:"the node had published the very same before"`
	Report      Report  `json:"report" doc:"what a .torrent cannot carry"`
	// Groups are the audience; none: everybody who has the link.
	Groups []GroupRef `json:"groups,omitempty" doc:"groups whose members alone can fetch it; absent: everybody who has the link"`
}

// Report is what was found while creating that a .torrent cannot carry.
type Report struct {
	Skipped      []Skipped `json:"skipped,omitempty" doc:"links, sockets, devices: not shared (at most 100 are listed)"`
	SkippedCount int       `json:"skipped_count,omitempty"`
	EmptyFolders []string  `json:"empty_folders,omitempty" doc:"at most 100 are listed"`
	EmptyCount   int       `json:"empty_folders_count,omitempty"`
	Hidden       int       `json:"hidden,omitempty" doc:"hidden files that are shared"`
	Modes        int       `json:"modes,omitempty" doc:"files whose permissions are not carried"`
}

// Skipped is one thing that was left out, and why.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// ShareChange changes what a share does; what is not given stays as it is.
type ShareChange struct {
	Paused     *bool    `json:"paused,omitempty"`
	Sequential *bool    `json:"sequential,omitempty"`
	AddPeers   []string `json:"add_peers,omitempty" doc:"host:port of peers to try now"`
}

// Progress tells how far a long call is.
type Progress struct {
	Done  int64 `json:"done" doc:"bytes"`
	Total int64 `json:"total" doc:"bytes"`
}

// Verified is the outcome of `verify`.
type Verified struct {
	InfoHash string  `json:"info_hash"`
	Name     string  `json:"name"`
	Pieces   int     `json:"pieces" doc:"pieces that were looked at"`
	Good     int     `json:"good" doc:"pieces whose hash fits"`
	Bad      int     `json:"bad" doc:"pieces that have data whose hash does not fit"`
	Missing  int     `json:"missing" doc:"pieces without data"`
	Bytes    int64   `json:"bytes" doc:"bytes hashed"`
	Seconds  float64 `json:"seconds"`
	// BadFiles names files that hold a bad piece or miss data they should have.
	BadFiles []string `json:"bad_files,omitempty" doc:"files with wrong or missing data (at most 100 are listed)"`
}

// Removed is the outcome of `rm`.
type Removed struct {
	InfoHash string `json:"info_hash"`
	Name     string `json:"name"`
	Path     string `json:"path"`
	Data     bool   `json:"data" doc:"its files were deleted"`
	Left     int64  `json:"left,omitempty" doc:"bytes that had come of a share that is not complete and stay, in files that end in .part"`
}

package store

import (
	"bytes"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

// Options say how a share's content is opened. The zero value fetches every
// file into the folder.
type Options struct {
	// InPlace: these are the originals of `share`. They are never written and
	// never deleted.
	InPlace bool
	// Base is the name of the content in its folder when that is not
	// Info.Name (a share in place that was given another name).
	Base string
	// Wanted selects files; nil means all of them.
	Wanted func(file int) bool
	// Parts is the path of a file in the home that holds the bytes of pieces
	// which reach into files nobody selected. It is made when first needed.
	Parts string
	// Reserve is how many bytes of the disk are left free: WriteVec is ErrNoSpace
	// when, by whoever writes, clearly fewer are. It looks once a second. 0: no reserve.
	Reserve int64
	// Handles is the node's cache of open files; nil makes one of its own.
	Handles *Handles
	// Resume is what the catalog remembers of this content, nil for nothing.
	Resume *Resume
	// Boot is this boot's id; "" means BootID().
	Boot string
}

// place says where a file's bytes are.
type place int32

const (
	absent  place = iota // nothing there
	partial              // NAME.part
	final                // NAME
	inParts              // not selected: its boundary bytes are in the home
)

// stamp is what tells one state of a file from another. Negative size: gone.
type stamp struct {
	size, mtime int64
	ino         uint64 // 0 where the system has none
}

// fileState is what is known of one file. The hot path reads handle alone.
type fileState struct {
	handle atomic.Pointer[handle]
	where  atomic.Int32  // a place; changes under mu
	flags  atomic.Uint32 // written since …
	mu     sync.Mutex    // opening, renaming and what follows
	stamp  stamp         // as recorded when opened, verified or finished
	unwant bool          // not selected
	ours   bool          // under NAME, and put there by this node
	redo   bool          // ours, and a crash may have lost its bytes: may be written again
	inWay  string        // NAME or NAME.part, when another thing bears it
	aside  bool          // not selected, and NAME is another file: it is left alone
	used   atomic.Bool   // a good piece has bytes of it
}

// Marks of fileState.flags, set by a write and cleared by who has seen to it.
const (
	unsynced uint32 = 1 << iota // written since the last Sync
	unstated                    // written since the last Stats
)

// Content is the bytes of one share beneath one folder, addressed in the piece
// space. It is safe for concurrent use on different byte ranges.
type Content struct {
	meta    *metainfo.Metainfo
	info    *metainfo.Info
	dir     string // absolute; holds the content
	base    string // name of the content in dir
	inPlace bool
	handles *Handles
	epoch   time.Time
	closed  atomic.Bool
	reserve int64
	spared  atomic.Int64   // when the disk was last asked for its free space
	names   map[int]string // part names that are not NAME.part

	files     []fileState
	moving    sync.RWMutex // held for reading while bytes go to the home, for writing while they move from there
	parts     fileState    // the home's file for bytes of unselected files
	partsPath string
	trusted   []byte // bitmap from the resume state; nil for none

	mu       sync.Mutex
	unsynced []int               // files written since the last Sync; -1 is parts
	folders  map[string]struct{} // folders with new names since the last Sync
	bad      map[int]struct{}    // pieces over files under NAME that failed
}

// Open looks at what dir/NAME holds of the share: for each file whether NAME
// is there, or NAME.part, or neither. Nothing is made and nothing written. A
// link or special file in place of a folder is an error (ErrLink), as is a
// file in place of a folder (ErrExists); in place of a file it is a conflict.
// A share in place whose files are gone opens too: see Changed.
func Open(m *metainfo.Metainfo, dir string, o Options) (*Content, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, disk.Fault("open", dir, err)
	}
	c := &Content{
		meta: m, info: m.Info, dir: abs, base: o.Base, inPlace: o.InPlace,
		handles: o.Handles, partsPath: o.Parts, epoch: time.Now(), reserve: o.Reserve,
		files:   make([]fileState, len(m.Info.Files)),
		folders: make(map[string]struct{}), bad: make(map[int]struct{}),
	}
	if c.base == "" {
		c.base = m.Info.Name
		if o.InPlace && m.Info.RawName != "" {
			c.base = m.Info.RawName
		}
	}
	if c.handles == nil {
		c.handles = NewHandles(0)
	}
	c.names = partNames(m.Info)
	for i := range c.files {
		if !c.real(i) {
			continue
		}
		st := &c.files[i]
		st.unwant = !o.InPlace && o.Wanted != nil && !o.Wanted(i)
		if err := c.inspect(i); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	c.resume(o)
	if !o.InPlace && (o.Resume == nil || !bytes.Equal(o.Resume.Have, o.Resume.Synced)) {
		c.distrust()
	}
	return c, nil
}

// distrust has the next Sync flush every file that is there: what an earlier run wrote may
// still be in the page cache alone, also where it is verified now.
func (c *Content) distrust() {
	home := c.hasParts()
	for i := range c.files {
		st := &c.files[i]
		there := c.real(i)
		switch place(st.where.Load()) {
		case absent:
			there = false
		case inParts:
			there = there && home
		case final: // another program's file cannot be flushed everywhere
			there = there && (st.ours || !disk.FlushNeedsWrite)
		}
		if there {
			c.wrote(i)
		}
	}
}

// real reports whether file i has a place on disk: neither a pad nor a link.
func (c *Content) real(i int) bool {
	f := &c.info.Files[i]
	return !f.Pad && !f.Symlink
}

// path is the components of file i beneath dir, its folder and its name. For
// a share in place these are the names on disk, which may be ones that a
// metainfo cannot carry.
func (c *Content) path(i int) (folders []string, name string) {
	f := &c.info.Files[i]
	if c.info.Single {
		return nil, c.base
	}
	comps := f.Path
	if c.inPlace && f.Raw != "" {
		comps = strings.Split(f.Raw, "/")
	}
	folders = make([]string, 0, len(comps))
	folders = append(folders, c.base)
	folders = append(folders, comps[:len(comps)-1]...)
	return folders, comps[len(comps)-1]
}

// Path is where file i lies, or will lie, under its final name; "" for a pad.
func (c *Content) Path(i int) string {
	if !c.real(i) {
		return ""
	}
	folders, name := c.path(i)
	return c.fullPath(append(folders, name))
}

// Root is the path of the content itself: a file or a folder.
func (c *Content) Root() string { return filepath.Join(c.dir, c.base) }

// now is monotonic, in nanoseconds since the content was opened.
func (c *Content) now() int64 { return int64(time.Since(c.epoch)) }

// touchFolder notes that names in a folder changed since the last Sync.
func (c *Content) touchFolder(comps []string) {
	key := strings.Join(comps, "/")
	c.mu.Lock()
	c.folders[key] = struct{}{}
	c.mu.Unlock()
}

// SetWanted selects or deselects a file. When a file becomes selected, the
// bytes that the home kept of it move to its NAME.part in the person's folder.
// Selecting may return ErrExists or ErrLink as Open does, also when NAME lies
// there and differs from what the home kept. After an error the file is what it
// was before, selected or not, and so are its bytes.
func (c *Content) SetWanted(file int, wanted bool) error {
	if c.inPlace || file < 0 || file >= len(c.files) || !c.real(file) {
		return nil
	}
	c.moving.Lock()
	defer c.moving.Unlock()
	st := &c.files[file]
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.unwant != wanted {
		return nil
	}
	st.unwant = !wanted
	before := place(st.where.Load())
	err := c.inspectLocked(file)
	if err == nil && wanted && before == inParts {
		err = c.leaveHomeLocked(file)
	}
	if err != nil {
		st.unwant = wanted
	}
	return err
}

// Wanted reports whether a file is selected.
func (c *Content) Wanted(file int) bool {
	st := &c.files[file]
	st.mu.Lock()
	defer st.mu.Unlock()
	return !st.unwant
}

// Release closes all open files and folders; they are opened again when
// needed. For a share that nobody talks to.
func (c *Content) Release() {
	for i := range c.files {
		if c.files[i].handle.Load() != nil {
			c.handles.drop(&c.files[i].handle)
		}
	}
	c.handles.drop(&c.parts.handle)
	c.handles.dropFolders(c)
}

// Close releases everything. Calls in progress finish; later ones return
// ErrClosed. It does not sync.
func (c *Content) Close() error {
	c.closed.Store(true)
	for i := range c.files {
		c.files[i].close(c.handles)
	}
	c.parts.close(c.handles)
	c.handles.dropFolders(c)
	return nil
}

// close waits for whoever is opening the file now, then drops it.
func (st *fileState) close(hs *Handles) {
	st.mu.Lock()
	defer st.mu.Unlock()
	hs.drop(&st.handle)
}

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/adapter/store/disk"
)

// folderLife is how long an open folder is believed to be the one its path
// leads to. After that the path is walked again, so that a folder that was
// moved away or replaced is noticed.
const folderLife = time.Second

// folderKey names a folder of a content: its components joined by slashes,
// "" being the folder that holds the content.
type folderKey struct {
	c    *Content
	path string
}

// folder is an open folder of a share. Every name used beneath root is a
// single component.
type folder struct {
	root  *os.Root
	born  time.Time
	last  uint64 // Handles.tick of the last use
	refs  atomic.Int32
	once  sync.Once
	dir   *os.File // opened by file
	dirEr error
}

// file is the folder as a file, for calls that want a descriptor.
func (d *folder) file() (*os.File, error) {
	d.once.Do(func() { d.dir, d.dirEr = d.root.Open(".") })
	return d.dir, d.dirEr
}

func (d *folder) release() {
	if d.refs.Add(-1) > 0 {
		return
	}
	if d.dir != nil {
		_ = d.dir.Close()
	}
	_ = d.root.Close()
}

// cachedFolder finds a folder that is still believed, with a reference.
func (hs *Handles) cachedFolder(key folderKey) *folder {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	d := hs.folders[key]
	if d == nil {
		return nil
	}
	if time.Since(d.born) > folderLife {
		delete(hs.folders, key)
		d.release()
		return nil
	}
	hs.tick++
	d.last = hs.tick
	d.refs.Add(1)
	return d
}

// keepFolder caches a folder; the returned one carries the caller's reference.
func (hs *Handles) keepFolder(key folderKey, root *os.Root) *folder {
	d := &folder{root: root, born: time.Now()}
	d.refs.Store(2)
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.tick++
	d.last = hs.tick
	if old := hs.folders[key]; old != nil {
		old.release()
	} else if len(hs.folders) >= maxFolders {
		hs.evictFolder()
	}
	hs.folders[key] = d
	return d
}

func (hs *Handles) evictFolder() {
	var oldest folderKey
	least := ^uint64(0)
	for k, d := range hs.folders {
		if d.last < least {
			least, oldest = d.last, k
		}
	}
	hs.folders[oldest].release()
	delete(hs.folders, oldest)
}

// dropFolders closes the folders of one content.
func (hs *Handles) dropFolders(c *Content) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for k, d := range hs.folders {
		if k.c == c {
			delete(hs.folders, k)
			d.release()
		}
	}
}

// folder opens the folder that comps lead to beneath the content's dir, one
// component at a time, following no link. With create, missing folders are
// made. The caller releases it.
func (c *Content) folder(comps []string, create bool) (*folder, error) {
	if d := c.handles.cachedFolder(folderKey{c, strings.Join(comps, "/")}); d != nil {
		return d, nil
	}
	var d *folder
	n := len(comps) - 1
	for ; n >= 0 && d == nil; n-- {
		d = c.handles.cachedFolder(folderKey{c, strings.Join(comps[:n], "/")})
	}
	n++
	if d == nil {
		var err error
		if d, err = c.openDir(create); err != nil {
			return nil, err
		}
		n = 0
	}
	for ; n < len(comps); n++ {
		root, err := c.child(d, comps[:n+1], create)
		d.release()
		if err != nil {
			return nil, err
		}
		d = c.handles.keepFolder(folderKey{c, strings.Join(comps[:n+1], "/")}, root)
	}
	return d, nil
}

// openDir opens the folder that holds the content; it is the person's choice,
// so its own path may lead through links.
func (c *Content) openDir(create bool) (*folder, error) {
	root, err := os.OpenRoot(c.dir)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err = os.MkdirAll(c.dir, 0o777); err == nil {
			root, err = os.OpenRoot(c.dir)
		}
	}
	if err != nil {
		return nil, disk.Fault("open folder", c.dir, err)
	}
	return c.handles.keepFolder(folderKey{c, ""}, root), nil
}

// child opens the last of comps in its parent d. What was looked at must be
// what was opened: a link put there in between is found out.
func (c *Content) child(d *folder, comps []string, create bool) (*os.Root, error) {
	name := comps[len(comps)-1]
	full := c.fullPath(comps)
	fi, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err = d.root.Mkdir(name, 0o777); err == nil || errors.Is(err, fs.ErrExist) {
			c.touchFolder(comps[:len(comps)-1])
			fi, err = d.root.Lstat(name)
		}
	}
	if err != nil {
		return nil, disk.Fault("open folder", full, err)
	}
	if fi.Mode().IsRegular() {
		return nil, &Error{Op: "open folder", Path: full, Kind: ErrExists}
	}
	if !fi.IsDir() {
		return nil, &Error{Op: "open folder", Path: full, Kind: ErrLink}
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, disk.Fault("open folder", full, err)
	}
	got, err := root.Stat(".")
	if err == nil && !os.SameFile(fi, got) {
		err = &Error{Op: "open folder", Path: full, Kind: ErrLink}
	}
	if err != nil {
		_ = root.Close()
		return nil, disk.Fault("open folder", full, err)
	}
	return root, nil
}

// fullPath is for messages and for the one who asks where a file lies.
func (c *Content) fullPath(comps []string) string {
	return filepath.Join(c.dir, filepath.Join(comps...))
}

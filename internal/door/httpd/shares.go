package httpd

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"shoal/internal/door/api"
)

func (s *Server) listShares(c *call) (any, error) {
	list, err := s.node.Shares.List(c.r.Context())
	if list == nil {
		list = []api.Share{}
	}
	return list, err
}

func (s *Server) addShare(c *call) (any, error) {
	req := *c.body.(*api.AddRequest)
	if err := checkAdd(req); err != nil {
		return nil, err
	}
	return s.node.Shares.Add(c.r.Context(), req)
}

func (s *Server) publish(c *call) (any, error) {
	req := *c.body.(*api.CreateRequest)
	if err := checkCreate(req); err != nil {
		return nil, err
	}
	if err := s.notHome(req.Path); err != nil {
		return nil, err
	}
	if err := s.audience(c.r.Context(), &req); err != nil {
		return nil, err
	}
	return s.long(c, func(ctx context.Context, progress func(api.Progress)) (any, error) {
		return s.node.Shares.Create(ctx, req, progress)
	})
}

// audience finds the groups that a share is for, and gives it a format where none is
// asked for: members have this program, and so know v2.
func (s *Server) audience(ctx context.Context, r *api.CreateRequest) error {
	if len(r.Groups) == 0 {
		r.Format = cmp.Or(r.Format, "hybrid")
		return nil
	}
	r.Format = cmp.Or(r.Format, "v2")
	if s.node.Groups == nil {
		return api.Errorf(api.Invalid, r.Groups[0], "this node has no groups")
	}
	list, err := s.node.Groups.Groups(ctx)
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(r.Groups))
	for _, text := range r.Groups {
		g, err := groupOf(list, text)
		if err != nil {
			return err
		}
		if g.Rights == api.RightsNone {
			return api.Errorf(api.Refused, g.Name, "this node was removed from that group").Try("share to another one; `shoal group ls` lists them")
		}
		if !slices.Contains(ids, g.ID) {
			ids = append(ids, g.ID)
		}
	}
	r.Groups = ids
	return nil
}

func (s *Server) getShare(c *call) (any, error) {
	id, err := s.resolve(c)
	if err != nil {
		return nil, err
	}
	return s.node.Shares.Share(c.r.Context(), id)
}

func (s *Server) getDetail(c *call) (any, error) {
	id, err := s.resolve(c)
	if err != nil {
		return nil, err
	}
	return s.node.Shares.Detail(c.r.Context(), id)
}

func (s *Server) changeShare(c *call) (any, error) {
	req := *c.body.(*api.ShareChange)
	if err := checkPeers(req.AddPeers); err != nil {
		return nil, err
	}
	id, err := s.resolve(c)
	if err != nil {
		return nil, err
	}
	return s.node.Control.Change(c.r.Context(), id, req)
}

func (s *Server) removeShare(c *call) (any, error) {
	data, err := boolParam(c.r, "data")
	if err != nil {
		return nil, err
	}
	id, err := s.resolve(c)
	if err != nil {
		return nil, err
	}
	return s.node.Control.Remove(c.r.Context(), id, data)
}

func (s *Server) verifyShare(c *call) (any, error) {
	id, err := s.resolve(c)
	if err != nil {
		return nil, err
	}
	return s.long(c, func(ctx context.Context, progress func(api.Progress)) (any, error) {
		return s.node.Control.Verify(ctx, id, progress)
	})
}

func (s *Server) getTorrent(c *call) (any, error) {
	id, err := s.resolve(c)
	if err != nil {
		return nil, err
	}
	b, err := s.node.Control.Torrent(c.r.Context(), id)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Disposition", `attachment; filename="`+id+`.torrent"`)
	writeBytes(c.w, http.StatusOK, "application/x-bittorrent", b)
	return nil, errAnswered
}

func (s *Server) getLimits(c *call) (any, error) {
	id, err := s.resolve(c)
	if err != nil {
		return nil, err
	}
	return s.node.Limits.Limits(c.r.Context(), id)
}

func (s *Server) setLimits(c *call) (any, error) {
	req := *c.body.(*api.LimitChange)
	for _, r := range []*api.Rate{req.Up, req.Down} {
		if r != nil {
			if err := checkRates(*r); err != nil {
				return nil, err
			}
		}
	}
	id, err := s.resolve(c)
	if err != nil {
		return nil, err
	}
	return s.node.Limits.SetLimits(c.r.Context(), id, req)
}

func (s *Server) parseMetainfo(c *call) (any, error) {
	return api.ParseMetainfo(c.body.(*api.ParseRequest).Torrent)
}

// resolve finds the share that {x} means: its info hash, else its name, else the
// only one whose v1 or v2 info hash begins so. A path without {x} means none.
func (s *Server) resolve(c *call) (string, error) {
	if !strings.Contains(c.r.Pattern, "{x}") {
		return "", nil
	}
	return s.find(c.r.Context(), c.r.PathValue("x"))
}

func (s *Server) find(ctx context.Context, x string) (string, error) {
	if x == "" {
		return "", api.Errorf(api.Invalid, "", "the name of the share is empty")
	}
	low := strings.ToLower(x)
	if isHash(low) {
		if sh, err := s.node.Shares.Share(ctx, low); err == nil {
			return sh.InfoHash, nil
		}
	}
	list, err := s.node.Shares.List(ctx)
	if err != nil {
		return "", err
	}
	var named, begins []api.Share
	for _, sh := range list {
		if sh.Name == x {
			named = append(named, sh)
		}
		if strings.HasPrefix(sh.InfoHashV1, low) || strings.HasPrefix(sh.InfoHashV2, low) {
			begins = append(begins, sh)
		}
	}
	if len(named) == 0 {
		named = begins
	}
	switch len(named) {
	case 1:
		return named[0].InfoHash, nil
	case 0:
		return "", api.Errorf(api.NotFound, x, "this node has no such share").Try("`shoal ls` lists what it has")
	}
	var ids []string
	for _, sh := range named[:min(len(named), 4)] {
		ids = append(ids, sh.InfoHash[:min(len(sh.InfoHash), 12)])
	}
	return "", api.Errorf(api.Ambiguous, x, "%d shares fit: %s", len(named), strings.Join(ids, ", ")).Try("write more of the info hash")
}

func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// checkAdd judges what any node would refuse, before the node sees it.
func checkAdd(r api.AddRequest) error {
	given := 0
	for _, ok := range []bool{r.Link != "", len(r.Torrent) > 0, r.URL != ""} {
		if ok {
			given++
		}
	}
	switch {
	case given != 1:
		return api.Errorf(api.Invalid, "", "exactly one of link, torrent and url must be given")
	case len(r.Link) > api.MaxText || len(r.URL) > api.MaxText:
		return api.Errorf(api.Invalid, "", "the link is longer than %d bytes", api.MaxText)
	case len(r.Torrent) > api.MaxMetainfo:
		return api.Errorf(api.TooLarge, "", "the .torrent is larger than %d MiB", api.MaxMetainfo>>20)
	case len(r.Select) > api.MaxList:
		return api.Errorf(api.Invalid, "", "more than %d patterns", api.MaxList)
	}
	for _, g := range r.Select {
		if _, err := path.Match(g, ""); err != nil || g == "" {
			return api.Errorf(api.Invalid, g, "this is not a pattern").Try("write it like docs/*.pdf or **/*.jpg")
		}
	}
	if err := errors.Join(absolute(r.Dir), checkRates(r.Limits.Up, r.Limits.Down)); err != nil {
		return err
	}
	return checkPeers(r.Peers)
}

func checkCreate(r api.CreateRequest) error {
	switch {
	case r.Format != "" && r.Format != "hybrid" && r.Format != "v1" && r.Format != "v2":
		return api.Errorf(api.Invalid, r.Format, "this is not a format").Try("write hybrid, v1 or v2")
	case r.PieceLength != 0 && (r.PieceLength < 16<<10 || r.PieceLength > 16<<20 || r.PieceLength&(r.PieceLength-1) != 0):
		return api.Errorf(api.Invalid, "", "the piece length must be a power of two from 16 KiB to 16 MiB")
	case len(r.Trackers) > api.MaxList || len(r.WebSeeds) > api.MaxList:
		return api.Errorf(api.Invalid, "", "more than %d trackers or web seeds", api.MaxList)
	case len(r.Comment) > api.MaxText || len(r.Name) > 255:
		return api.Errorf(api.Invalid, "", "the comment or the name is too long")
	case strings.ContainsAny(r.Name, "/\\\x00") || r.Name == "." || r.Name == "..":
		return api.Errorf(api.Invalid, r.Name, "a share's name must not be a path")
	case len(r.Groups) > api.MaxAudience:
		return api.Errorf(api.Invalid, "", "a share can be for at most %d groups", api.MaxAudience)
	}
	if word := openly(r); word != "" && len(r.Groups) > 0 {
		return api.Errorf(api.Invalid, word, "it would tell others of a share that is for members only").Try("leave it out; members find each other by themselves")
	}
	if err := errors.Join(absolute(r.Path), checkRates(r.Limits.Up, r.Limits.Down)); err != nil {
		return err
	}
	return checkPeers(r.Peers)
}

// openly names what of a request makes a share known to others than members.
func openly(r api.CreateRequest) string {
	switch {
	case len(r.Trackers) > 0:
		return "trackers"
	case len(r.Peers) > 0:
		return "peers"
	case len(r.WebSeeds) > 0:
		return "web_seeds"
	case r.Private:
		return "private"
	}
	return ""
}

// checkRates wants limits that can be kept.
func checkRates(rates ...api.Rate) error {
	for _, r := range rates {
		if r < 0 || r > api.MaxRate {
			return api.Errorf(api.Invalid, "", "a limit must lie between 0 and %d bytes a second", int64(api.MaxRate)).Try("give 0 for no limit")
		}
	}
	return nil
}

// notHome refuses to publish the node's own key and tokens: a folder that holds the home,
// or what lies in it.
func (s *Server) notHome(path string) error {
	real, err := filepath.EvalSymlinks(path)
	home, herr := filepath.EvalSymlinks(s.cfg.Home)
	if s.cfg.Home == "" || err != nil || herr != nil { // what is not there cannot be published
		return nil
	}
	for _, pair := range [][2]string{{real, home}, {home, real}} {
		if rel, err := filepath.Rel(pair[0], pair[1]); err == nil && filepath.IsLocal(rel) {
			return api.Errorf(api.Refused, path, "it holds files of this node's home, and with them its key and tokens").
				Try("share other folders, or move the home elsewhere with --home DIR")
		}
	}
	return nil
}

// absolute wants a path that means the same to the node as to the caller.
func absolute(p string) error {
	if p == "" || !filepath.IsAbs(p) || strings.ContainsRune(p, 0) {
		return api.Errorf(api.Invalid, p, "this is not an absolute path")
	}
	if len(p) > 4096 {
		return api.Errorf(api.Invalid, "", "the path is longer than 4096 bytes")
	}
	return nil
}

// checkPeers wants host:port of each.
func checkPeers(peers []string) error {
	if len(peers) > api.MaxList {
		return api.Errorf(api.Invalid, "", "more than %d peers", api.MaxList)
	}
	for _, p := range peers {
		host, port, err := net.SplitHostPort(p)
		if err != nil || host == "" || port == "" || port == "0" || strings.Trim(port, "0123456789") != "" || len(port) > 5 {
			return api.Errorf(api.Invalid, p, "this is not the address of a peer").Try("write it like 192.0.2.7:7463 or [2001:db8::7]:7463")
		}
	}
	return nil
}

func boolParam(r *http.Request, name string) (bool, error) {
	switch v := r.URL.Query().Get(name); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, api.Errorf(api.Invalid, name, "it must be true or false")
	}
}

func (s *Server) getStatus(c *call) (any, error) {
	st := s.node.Status.Status(c.r.Context())
	st.API, st.Version, st.PID, st.Offline = s.cfg.URL, api.Version, os.Getpid(), s.cfg.Offline
	return st, nil
}

func (s *Server) getHealth(c *call) (any, error) {
	h := s.node.Status.Health(c.r.Context())
	if h.Reasons == nil {
		h.Reasons = []string{}
	}
	status := http.StatusOK
	if !h.OK {
		status = http.StatusServiceUnavailable
	}
	writeJSON(c.w, status, "application/json", h)
	return nil, errAnswered
}

func (s *Server) getOpenAPI(c *call) (any, error) {
	writeBytes(c.w, http.StatusOK, "application/json", s.openapi())
	return nil, errAnswered
}

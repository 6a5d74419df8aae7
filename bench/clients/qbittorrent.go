//go:build linux

package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const qbittorrentWebPort = 8085

// QBittorrent is qbittorrent-nox, driven through its web API on loopback.
func QBittorrent() *Client {
	return &Client{
		Name: "qbittorrent", Formats: V1 | V2 | Hybrid, Magnets: true, Dials: true, DialsLoopback: true,
		find:  func() (string, error) { return installed("qbittorrent-nox", "--version") },
		start: startQBittorrent,
	}
}

func startQBittorrent(ctx context.Context, l *Lab, j Job) (*Node, error) {
	home, bells, err := l.home("qbittorrent", "done")
	if err != nil {
		return nil, err
	}
	done := bells[0]
	n := &Node{Client: "qbittorrent", Host: l.host(j)}
	folder := filepath.Join(home, "qBittorrent", "config")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "qBittorrent.conf"), []byte(qbittorrentConfig(n.Host, j, done)), 0o600); err != nil {
		return nil, err
	}
	n.Process, err = l.Run(Command{Name: "qbittorrent", Path: "qbittorrent-nox", Args: []string{"--profile=" + home}, Logs: home})
	if err != nil {
		return nil, err
	}
	web := &qbittorrentWeb{base: fmt.Sprintf("http://%s:%d/api/v2/", n.Host, qbittorrentWebPort)}
	if err := listening(ctx, n.Process, fmt.Sprintf("%s:%d", n.Host, qbittorrentWebPort)); err != nil {
		return nil, err
	}
	if err := listening(ctx, n.Process, n.Addr()); err != nil {
		return nil, err
	}
	if err := web.add(ctx, j); err != nil {
		return nil, err
	}
	if err := await(ctx, 20*time.Millisecond, "the torrent", func() (bool, error) { return web.known(ctx, j.Seed) }); err != nil {
		return nil, err
	}
	n.connect = web.connect
	n.complete = func(ctx context.Context) error { return done.wait(ctx, n.Process) }
	if j.Magnet != "" {
		// 4.5.2 now and then runs no program for a link that is complete as soon as its description has come.
		n.complete = func(ctx context.Context) error {
			return await(ctx, 100*time.Millisecond, "completion", func() (bool, error) { return web.known(ctx, true) })
		}
	}
	if j.Seed {
		n.complete = func(context.Context) error { return nil }
	}
	for _, p := range j.Peers {
		if err := web.connect(ctx, p); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// qbittorrentConfig turns off what reaches out, and the password for loopback.
func qbittorrentConfig(host string, j Job, done *bell) string {
	return strings.Join([]string{
		"[LegalNotice]", "Accepted=true",
		"[AutoRun]", "enabled=" + strconv.FormatBool(!j.Seed), "program=" + done.script,
		"[BitTorrent]",
		`Session\Port=` + strconv.Itoa(PeerPort), `Session\Interface=`, `Session\InterfaceAddress=` + host, `Session\InterfaceName=`,
		`Session\DHTEnabled=false`, `Session\LSDEnabled=false`, `Session\PeXEnabled=false`, `Session\Encryption=2`,
		`Session\BTProtocol=TCP`, `Session\UseRandomPort=false`, `Session\DefaultSavePath=` + j.Dir,
		`Session\MultiConnectionsPerIp=true`, `Session\QueueingSystemEnabled=false`, `Session\AnonymousModeEnabled=false`,
		fmt.Sprintf(`Session\GlobalUPSpeedLimit=%d`, j.Up>>10), fmt.Sprintf(`Session\GlobalDLSpeedLimit=%d`, j.Down>>10),
		`Session\IgnoreLimitsOnLAN=false`, `Session\IncludeOverheadInLimits=false`, `Session\Preallocation=false`, `Session\TempPathEnabled=false`,
		"[Core]", `AutoDeleteAddedTorrentFile=Never`,
		"[Network]", `PortForwardingEnabled=false`,
		"[Preferences]", `Connection\ResolvePeerCountries=false`, `Connection\UPnP=false`, `General\Locale=en`,
		`WebUI\Enabled=true`, `WebUI\Address=` + host, `WebUI\Port=` + strconv.Itoa(qbittorrentWebPort), `WebUI\LocalHostAuth=false`,
		`WebUI\UseUPnP=false`, `WebUI\HostHeaderValidation=false`, `WebUI\CSRFProtection=false`, `DynDNS\Enabled=false`, "",
	}, "\n")
}

// qbittorrentWeb speaks the web API.
type qbittorrentWeb struct{ base, hash string }

// post sends a form and returns the answer's text.
func (w *qbittorrentWeb) post(ctx context.Context, path, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	res, err := local.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", path, res.Status, text)
	}
	return text, err
}

// add gives it the torrent or the link.
func (w *qbittorrentWeb) add(ctx context.Context, j Job) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	fields := [][2]string{{"savepath", j.Dir}, {"skip_checking", strconv.FormatBool(j.Seed)}, {"contentLayout", "Original"}, {"autoTMM", "false"}}
	if j.Magnet != "" {
		fields = append(fields, [2]string{"urls", j.Magnet})
	} else {
		torrent, err := os.ReadFile(j.Torrent)
		if err != nil {
			return err
		}
		part, err := form.CreateFormFile("torrents", filepath.Base(j.Torrent))
		if err != nil {
			return err
		}
		if _, err := part.Write(torrent); err != nil {
			return err
		}
	}
	for _, f := range fields {
		if err := form.WriteField(f[0], f[1]); err != nil {
			return err
		}
	}
	if err := form.Close(); err != nil {
		return err
	}
	text, err := w.post(ctx, "torrents/add", form.FormDataContentType(), &body)
	if err == nil && !bytes.HasPrefix(text, []byte("Ok")) {
		err = fmt.Errorf("torrents/add: %s", text)
	}
	return err
}

// known waits until the torrent is in the list, and for a seed until it is complete,
// and remembers its name in the API.
func (w *qbittorrentWeb) known(ctx context.Context, seed bool) (bool, error) {
	text, err := w.post(ctx, "torrents/info", "application/x-www-form-urlencoded", nil)
	if err != nil {
		return false, err
	}
	var list []struct {
		Hash, State string
		Progress    float64
	}
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 1 {
		return false, fmt.Errorf("%d torrents: %w", len(list), err)
	}
	w.hash = list[0].Hash
	// stalledUP and uploading are the states of a seed; before them it refuses peers.
	up := list[0].State == "uploading" || strings.HasSuffix(list[0].State, "UP")
	return !seed || list[0].Progress == 1 && up, fmt.Errorf("%+v", list[0])
}

// connect dials a peer.
func (w *qbittorrentWeb) connect(ctx context.Context, addr string) error {
	form := url.Values{"hashes": {w.hash}, "peers": {addr}}
	_, err := w.post(ctx, "torrents/addPeers", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	return err
}

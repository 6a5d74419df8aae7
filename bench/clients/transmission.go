//go:build linux

package clients

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const transmissionRPCPort = 9091

// Transmission is transmission-daemon. Version 3.00 refuses hybrid torrents and
// addresses of 127.0.0.0/8: the other side must dial it.
func Transmission() *Client {
	return &Client{
		Name: "transmission", Formats: V1, SkipsEmpty: true,
		find:  func() (string, error) { return installed("transmission-daemon", "--version") },
		start: startTransmission,
	}
}

func startTransmission(ctx context.Context, l *Lab, j Job) (*Node, error) {
	home, bells, err := l.home("transmission", "done")
	if err != nil {
		return nil, err
	}
	done := bells[0]
	n := &Node{Client: "transmission", Host: l.host(j)}
	settings, err := json.Marshal(transmissionSettings(n.Host, j, done))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(home, "settings.json"), settings, 0o600); err != nil {
		return nil, err
	}
	n.Process, err = l.Run(Command{Name: "transmission", Path: "transmission-daemon", Args: []string{"-f", "-g", home}, Logs: home})
	if err != nil {
		return nil, err
	}
	rpc := &transmissionRPC{url: fmt.Sprintf("http://%s:%d/transmission/rpc", n.Host, transmissionRPCPort)}
	if err := listening(ctx, n.Process, fmt.Sprintf("%s:%d", n.Host, transmissionRPCPort)); err != nil {
		return nil, err
	}
	torrent, err := os.ReadFile(j.Torrent)
	if err != nil {
		return nil, err
	}
	add := map[string]any{"metainfo": base64.StdEncoding.EncodeToString(torrent), "download-dir": j.Dir, "paused": false}
	if err := rpc.call(ctx, "torrent-add", add, nil); err != nil {
		return nil, err
	}
	if !j.Seed {
		n.complete = func(ctx context.Context) error { return done.wait(ctx, n.Process) }
		return n, nil
	}
	n.complete = func(context.Context) error { return nil }
	if err := rpc.call(ctx, "torrent-verify", map[string]any{}, nil); err != nil {
		return nil, err
	}
	return n, await(ctx, 100*time.Millisecond, "verification", func() (bool, error) { return rpc.seeding(ctx) })
}

// transmissionSettings turns off what reaches out and all limits.
func transmissionSettings(host string, j Job, done *bell) map[string]any {
	return map[string]any{
		"bind-address-ipv4": host, "bind-address-ipv6": "::1", "rpc-bind-address": host, "rpc-port": transmissionRPCPort, "peer-port": PeerPort,
		"dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false,
		"encryption": 0, "download-dir": j.Dir, "cache-size-mb": 64, "preallocation": 1, "blocklist-enabled": false,
		"rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false, "ratio-limit-enabled": false, "idle-seeding-limit-enabled": false,
		"speed-limit-up": j.Up / 1000, "speed-limit-up-enabled": j.Up > 0,
		"speed-limit-down": j.Down / 1000, "speed-limit-down-enabled": j.Down > 0,
		"script-torrent-done-enabled": !j.Seed, "script-torrent-done-filename": done.script,
	}
}

// transmissionRPC speaks transmission's JSON-RPC, which wants a session id in a
// header and tells it with status 409.
type transmissionRPC struct{ url, session string }

func (r *transmissionRPC) call(ctx context.Context, method string, args, result any) error {
	body, err := json.Marshal(map[string]any{"method": method, "arguments": args})
	if err != nil {
		return err
	}
	for range 2 {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("X-Transmission-Session-Id", r.session)
		res, err := local.Do(req)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
		res.Body.Close()
		if err != nil {
			return err
		}
		if res.StatusCode == http.StatusConflict {
			r.session = res.Header.Get("X-Transmission-Session-Id")
			continue
		}
		answer := struct {
			Result    string
			Arguments json.RawMessage
		}{}
		if err := json.Unmarshal(text, &answer); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		if answer.Result != "success" {
			return fmt.Errorf("%s: %s", method, answer.Result)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(answer.Arguments, result)
	}
	return fmt.Errorf("%s: no session", method)
}

// seeding says whether the only torrent is complete and started.
func (r *transmissionRPC) seeding(ctx context.Context) (bool, error) {
	var got struct {
		Torrents []struct {
			PercentDone float64
			Status      int
			ErrorString string
		}
	}
	err := r.call(ctx, "torrent-get", map[string]any{"fields": []string{"percentDone", "status", "errorString"}}, &got)
	if err != nil || len(got.Torrents) != 1 {
		return false, err
	}
	t := got.Torrents[0]
	return t.PercentDone == 1 && t.Status == 6, fmt.Errorf("%+v", t)
}

// local talks to programs on this machine, whatever proxies the environment names.
var local = &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: 20 * time.Second}

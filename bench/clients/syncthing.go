//go:build linux

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Syncthing is syncthing, whose devices know each other by key: it encrypts, and verifies
// each block. It keeps folders the same; one of the two only sends, the other only receives.
func Syncthing() *Client {
	return &Client{
		Name: "syncthing", Formats: V2, Describes: true,
		find: func() (string, error) { return installed("syncthing", "--version") },
		pair: startSyncthing,
	}
}

// syncKey opens the programs' HTTP interfaces to the harness.
const syncKey = "bench"

// device is one syncthing.
type device struct {
	*Node
	home, id, folder string
	last             int // event seen
}

func startSyncthing(ctx context.Context, l *Lab, p Pair) (seed, leech *Node, err error) {
	var d [2]*device
	for i := range d {
		if d[i], err = newDevice(ctx, l); err != nil {
			return nil, nil, err
		}
	}
	// It would put its marker and lists beside the content of others.
	if d[0].folder, err = linked(p.SeedJob.Path); err != nil {
		return nil, nil, err
	}
	l.OnClose(func() { os.RemoveAll(d[0].folder) })
	d[1].folder = p.LeechJob.Dir
	for i := range d {
		if err := d[i].start(ctx, l, d[1-i], []string{"sendonly", "receiveonly"}[i]); err != nil {
			return nil, nil, err
		}
		if i == 0 {
			if err := d[0].await(ctx, "StateChanged", func(e syncEvent) bool { return e.Data.From == "scanning" && e.Data.To == "idle" }); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := d[1].await(ctx, "ItemStarted", func(syncEvent) bool { return true }); err != nil {
		return nil, nil, err
	}
	p.ready(d[0].Node, d[1].Node)
	d[1].complete = func(ctx context.Context) error {
		return d[1].await(ctx, "StateChanged", func(e syncEvent) bool { return e.Data.From == "syncing" })
	}
	return d[0].Node, d[1].Node, nil
}

// linked makes a folder beside the content that holds it and nothing else, by hard links.
func linked(content string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Dir(filepath.Dir(content)), "linked-")
	if err != nil {
		return "", err
	}
	return dir, filepath.WalkDir(content, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.Dir(content), p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		return os.Link(p, filepath.Join(dir, rel))
	})
}

// newDevice makes a home with a key.
func newDevice(ctx context.Context, l *Lab) (*device, error) {
	home, err := l.Folder("syncthing")
	if err != nil {
		return nil, err
	}
	d := &device{Node: &Node{Client: "syncthing", Host: l.Host()}, home: home}
	for _, args := range [][]string{{"generate", "--home=" + home, "--no-default-folder"}, {"--device-id", "--home=" + home}} {
		cmd := exec.CommandContext(ctx, "syncthing", args...)
		cmd.Env = environment(home)
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("clients: syncthing %s: %w: %s", args[0], err, out)
		}
		d.id = strings.TrimSpace(string(out))
	}
	return d, nil
}

// start configures and starts it: no way to find each other but the address, no name looked
// up, nobody told anything; the rest as it is by default.
func (d *device) start(ctx context.Context, l *Lab, other *device, kind string) error {
	if err := os.MkdirAll(filepath.Join(d.folder, ".stfolder"), 0o755); err != nil {
		return err
	}
	config := fmt.Sprintf(`<configuration version="36">
<folder id="bench" path="%s" type="%s" rescanIntervalS="0" fsWatcherEnabled="false"><device id="%s"/><device id="%s"/></folder>
<device id="%s"><address>dynamic</address></device>
<device id="%s"><address>tcp://%s</address></device>
<gui enabled="true" tls="false"><address>%s:8384</address><apikey>%s</apikey></gui>
<options><listenAddress>tcp://%s</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>
<reconnectionIntervalS>1</reconnectionIntervalS><urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled>
<autoUpgradeIntervalH>0</autoUpgradeIntervalH><startBrowser>false</startBrowser><setLowPriority>false</setLowPriority>
<stunServer></stunServer></options>
</configuration>`, d.folder, kind, d.id, other.id, d.id, other.id, other.Addr(), d.Host, syncKey, d.Addr())
	if err := os.WriteFile(filepath.Join(d.home, "config.xml"), []byte(config), 0o600); err != nil {
		return err
	}
	var err error
	d.Process, err = l.Run(Command{Name: "syncthing-" + kind, Path: "syncthing", Logs: d.home,
		Args: []string{"serve", "--home=" + d.home, "--no-browser", "--no-restart", "--no-upgrade"},
		Env:  []string{"STMONITORED=yes", "STNOUPGRADE=1"}}) // the work is done by this very process
	if err != nil {
		return err
	}
	return listening(ctx, d.Process, d.Host+":8384")
}

// syncEvent is one of the events that the program tells of.
type syncEvent struct {
	ID   int    `json:"id"`
	Type string `json:"type"`
	Data struct{ Folder, From, To, Error string }
}

// await waits for an event after those that were seen.
func (d *device) await(ctx context.Context, kind string, match func(syncEvent) bool) error {
	for {
		var events []syncEvent
		if err := d.ask(ctx, fmt.Sprintf("/rest/events?since=%d&timeout=30", d.last), &events); err != nil {
			return fmt.Errorf("clients: syncthing: waiting for %s: %w: %s", kind, err, d.Process.Tail(600))
		}
		for _, e := range events {
			d.last = e.ID
			if e.Type == kind && match(e) {
				return nil
			}
		}
	}
}

// ask gets one page of the interface.
func (d *device) ask(ctx context.Context, path string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.Host+":8384"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", syncKey)
	res, err := (&http.Client{Transport: &http.Transport{Proxy: nil}}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		return fmt.Errorf("%s: %s: %s", path, res.Status, text)
	}
	return json.NewDecoder(res.Body).Decode(v)
}

//go:build linux

package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"shoal/bench/clients"
)

// The bare limit program: file → TCP → hash → file and nothing else, in two
// processes. The sender hands whole files to the kernel; the receiver has one reader
// and two workers that hash and write. No protocol is leaner, so its rate is what a
// Go program can reach on this machine. With TLS and yamux between (bare_tls.go) it is
// the limit of what is encrypted.
const (
	barePiece   = 1 << 20
	bareWorkers = 2
	bareBuffers = 8
)

// bareMode is the environment variable by which this program knows that it is one
// side of the bare transfer: "seed" or "leech".
const bareMode = "SHOAL_BENCH_BARE"

// bareClient makes a limit program, bare or bare-tls, look like any other client. The
// format says what it hashes: SHA-1, SHA-256 or both.
func bareClient(name, format string) *clients.Client {
	return clients.Own(name, "DONE", func(l *clients.Lab, host string, j clients.Job) (*clients.Process, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		home, err := l.Folder(name)
		if err != nil {
			return nil, err
		}
		mode, addr := "seed", net.JoinHostPort(host, fmt.Sprint(clients.PeerPort))
		if !j.Seed {
			mode, addr = "leech", j.Peers[0]
		}
		return l.Run(clients.Command{Name: name + "-" + mode, Path: self, Args: []string{addr, j.Path, j.Dir, format, name},
			Env: []string{bareMode + "=" + mode}, Logs: home})
	})
}

// bare runs one side. Arguments: address, content of the sender (its names and sizes
// are known to both, as with a torrent), folder to write to, format, which limit program.
func bare(mode string, args []string) error {
	if len(args) != 5 {
		return errors.New("bare: want ADDRESS CONTENT FOLDER FORMAT PROGRAM")
	}
	carry := plain
	if args[4] == bareTLS {
		carry = secure
	}
	files, err := bareFiles(args[1])
	if err != nil {
		return err
	}
	if mode == "seed" {
		return bareSend(args[0], files, carry)
	}
	return bareReceive(args[0], files, args[2], args[3], carry)
}

// bareFile is one file of the content, at an offset in the whole.
type bareFile struct {
	path, rel    string
	offset, size int64
}

func bareFiles(content string) ([]bareFile, error) {
	var files []bareFile
	var offset int64
	err := filepath.WalkDir(content, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.Dir(content), p)
		files = append(files, bareFile{p, rel, offset, st.Size()})
		offset += st.Size()
		return err
	})
	return files, err
}

// carrier makes what the content goes over of a TCP connection that one side has
// accepted and the other dialled.
type carrier func(c net.Conn, accepted bool) (net.Conn, error)

// plain is TCP itself.
func plain(c net.Conn, _ bool) (net.Conn, error) { return c, nil }

func bareSend(addr string, files []bareFile, carry carrier) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("READY")
	conn, err := ln.Accept()
	if err == nil {
		conn, err = carry(conn, true)
	}
	if err != nil {
		return err
	}
	buf := make([]byte, barePiece)
	for _, f := range files {
		in, err := os.Open(f.path)
		if err != nil {
			return err
		}
		if to, ok := conn.(io.ReaderFrom); ok {
			_, err = to.ReadFrom(in) // sendfile
		} else {
			_, err = io.CopyBuffer(conn, struct{ io.Reader }{in}, buf)
		}
		in.Close()
		if err != nil {
			return err
		}
	}
	if err := conn.Close(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // stays until told to stop
	return err
}

// barePart is one piece on its way from the reader to a worker.
type barePart struct {
	data   []byte
	offset int64
}

func bareReceive(addr string, files []bareFile, dir, format string, carry carrier) error {
	out := make([]*os.File, len(files))
	for i, f := range files {
		path := filepath.Join(dir, f.rel)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		var err error
		if out[i], err = os.Create(path); err != nil {
			return err
		}
	}
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn, err = carry(conn, false)
	}
	if err != nil {
		return err
	}
	parts, free := make(chan barePart, bareBuffers), make(chan []byte, bareBuffers)
	for range bareBuffers {
		free <- make([]byte, barePiece)
	}
	errs := make([]error, bareWorkers)
	var workers sync.WaitGroup
	for w := range bareWorkers {
		workers.Go(func() {
			hashes := bareHashes(format)
			for p := range parts {
				for _, h := range hashes {
					h.Reset()
					h.Write(p.data)
					h.Sum(nil)
				}
				errs[w] = errors.Join(errs[w], bareWrite(files, out, p))
				free <- p.data[:barePiece]
			}
		})
	}
	err = bareRead(conn, parts, free)
	close(parts)
	workers.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	fmt.Println("DONE")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func bareHashes(format string) []hash.Hash {
	switch format {
	case "v2":
		return []hash.Hash{sha256.New()}
	case "hybrid":
		return []hash.Hash{sha1.New(), sha256.New()}
	}
	return []hash.Hash{sha1.New()}
}

// bareRead cuts the stream into pieces until it ends.
func bareRead(conn net.Conn, parts chan<- barePart, free <-chan []byte) error {
	for offset := int64(0); ; {
		buf := <-free
		n, err := io.ReadFull(conn, buf)
		if n > 0 {
			parts <- barePart{buf[:n], offset}
			offset += int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// bareWrite writes a piece into the files it covers.
func bareWrite(files []bareFile, out []*os.File, p barePart) error {
	for i, f := range files {
		if f.offset+f.size <= p.offset || f.size == 0 {
			continue
		}
		if len(p.data) == 0 || f.offset >= p.offset+int64(len(p.data)) {
			break
		}
		from := max(f.offset, p.offset)
		to := min(f.offset+f.size, p.offset+int64(len(p.data)))
		if _, err := out[i].WriteAt(p.data[from-p.offset:to-p.offset], from-f.offset); err != nil {
			return err
		}
	}
	return nil
}

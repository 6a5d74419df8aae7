#!/usr/bin/python3
"""Asks libtorrent (python3-libtorrent) for the info hashes of the shares in golden_test.go, from files made anew, and
loads our .torrent files in it. Run by hand from this folder; prints one line a share."""
import glob, os, sys, tempfile
import libtorrent as lt


def sample(n, seed):
    return bytes((i * 7 + (i >> 8) * 13 + (i >> 14) * 29 + seed * 31) & 255 for i in range(n))


TREE = {
    "b.bin": sample(100_000, 1), "a/z": sample(16384, 2), "a/deep/er/file": sample(40_000, 3), "a.txt": sample(1, 4),
    "a-b/x": sample(65_536, 5), "empty": b"", "a/empty": b"", "zz-last": sample(33_000, 6), "same": sample(100_000, 1),
}
CT = lt.create_torrent  # padding after the last file is optional; ours has none
SHARES = [
    ("single-v1", "one.bin", sample(150_000, 7), 32768, CT.v1_only),
    ("single-v2", "one.bin", sample(150_000, 7), 32768, CT.v2_only),
    ("single-hybrid", "one.bin", sample(150_000, 7), 32768, 0),
    ("small-hybrid", "tiny", sample(5, 8), 16384, 0),
    ("tree-v1", "tree", TREE, 16384, CT.v1_only),
    ("tree-v2", "tree", TREE, 16384, CT.v2_only),
    ("tree-hybrid", "tree", TREE, 16384, 0),
    ("tree-hybrid-64k", "tree", TREE, 65536, 0),
]

bad = 0
for name, root, content, piece, flags in SHARES:
    with tempfile.TemporaryDirectory() as d:
        fs = lt.file_storage()
        if isinstance(content, bytes):
            open(os.path.join(d, root), "wb").write(content)
            fs.add_file(root, len(content))
        else:
            # v1 keeps the order it is given, so it is given ours: sorted by component
            for path in sorted(content, key=lambda p: p.encode().split(b"/")):
                full = os.path.join(d, root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                open(full, "wb").write(content[path])
                fs.add_file(os.path.join(root, path), len(content[path]))
        ct = lt.create_torrent(fs, piece, flags or CT.canonical_files_no_tail_padding)
        lt.set_piece_hashes(ct, d)
        theirs = lt.torrent_info(ct.generate()).info_hashes()
        ours = lt.torrent_info(name + ".torrent").info_hashes()
        same = all((a() if a() else None) == (b() if b() else None)
                   for a, b in ((lambda: theirs.v1, lambda: ours.v1), (lambda: theirs.v2, lambda: ours.v2)))
        bad += not same
        print("same" if same else "DIFFERENT", name, theirs.v1 if theirs.has_v1() else "-", theirs.v2 if theirs.has_v2() else "-")
sys.exit(bad > 0)

"""Makes a torrent with libtorrent. Arguments: one JSON object with path, format,
piece, out and tracker. Prints one JSON object."""
import json, os, sys, time
import libtorrent as lt

o = json.loads(sys.argv[1])
fs = lt.file_storage()
lt.add_files(fs, o['path'])
flag = {'v1': lt.create_torrent.v1_only, 'v2': lt.create_torrent.v2_only, 'hybrid': 0}[o['format']]
began = time.monotonic()
t = lt.create_torrent(fs, o['piece'], flag)
if o.get('tracker'):
    t.add_tracker(o['tracker'])
lt.set_piece_hashes(t, os.path.dirname(o['path']))
blob = lt.bencode(t.generate())
seconds = time.monotonic() - began
if o.get('out'):
    with open(o['out'], 'wb') as f:
        f.write(blob)
info = lt.torrent_info(lt.bdecode(blob))
ih = info.info_hashes()
print(json.dumps({'seconds': seconds, 'v1': str(ih.v1) if ih.has_v1() else '', 'v2': str(ih.v2) if ih.has_v2() else '',
                  'magnet': lt.make_magnet_uri(info), 'pieces': info.num_pieces()}))

"""One libtorrent node. Arguments: one JSON object. Prints READY when it listens and
has taken over what it seeds, DONE when it has everything, and reads lines
"peer HOST PORT" from standard input; ends when standard input does."""
import json, os, select, signal, sys, threading
import libtorrent as lt

o = json.loads(sys.argv[1])
ses = lt.session({
    'listen_interfaces': '%s:%d' % (o['host'], o['port']), 'outgoing_interfaces': o['host'],
    'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
    'enable_incoming_utp': False, 'enable_outgoing_utp': False, 'allow_multiple_connections_per_ip': True,
    'in_enc_policy': 2, 'out_enc_policy': 2, 'rate_limit_ip_overhead': False, 'announce_to_all_trackers': True, 'stop_tracker_timeout': 1, 'min_reconnect_time': 1,
    'alert_mask': lt.alert.category_t.status_notification | lt.alert.category_t.error_notification})
if o.get('magnet'):
    p = lt.parse_magnet_uri(o['magnet'])
else:
    p = lt.add_torrent_params()
    p.ti = lt.torrent_info(o['torrent'])
p.save_path = o['dir']
p.flags = lt.torrent_flags.update_subscribe | lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
if o.get('seed'):
    p.flags |= lt.torrent_flags.seed_mode
# Not wait_for_alert: the binding looks at an alert that the session may be moving, and dies of it now and then.
alerts, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
ses.set_alert_fd(told)
h = ses.add_torrent(p)
# Loopback peers are outside the session's rate class, so limits are set on the torrent.
if o.get('up'):
    h.set_upload_limit(o['up'])
if o.get('down'):
    h.set_download_limit(o['down'])
for host, port in o.get('peers') or []:
    h.connect_peer((host, port))
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())


def commands():
    for line in sys.stdin:
        w = line.split()
        if len(w) == 3 and w[0] == 'peer':
            h.connect_peer((w[1], int(w[2])))
    ended.set()


threading.Thread(target=commands, daemon=True).start()
done = False
while not ended.is_set():
    if select.select([alerts], [], [], 0.1)[0]:
        os.read(alerts, 1)
    for a in ses.pop_alerts():
        if isinstance(a, lt.listen_succeeded_alert) and 'TCP' in str(a).upper():
            print('READY', flush=True)
        elif isinstance(a, lt.torrent_finished_alert) and not done:
            done = True
            print('DONE', flush=True)
        elif isinstance(a, lt.torrent_error_alert) or isinstance(a, lt.listen_failed_alert):
            print('ERROR %s' % a, flush=True)
# What is queued for the disk is written before the session is gone.
del h, ses

"""Many libtorrent sessions with nothing but a DHT, each at an address of its own. Reads one
command a line and answers each with one line of JSON that has its number; an alert that does not come
within the command's time is answered with null."""
import hashlib, json, os, sys, time
import libtorrent as lt

job = json.loads(sys.argv[1])
sessions = []
for host in job['hosts']:
    sessions.append(lt.session({
        'listen_interfaces': '%s:%d' % (host, job['port']), 'enable_dht': True, 'enable_lsd': False, 'enable_upnp': False,
        'enable_natpmp': False, 'dht_bootstrap_nodes': '', 'dht_restrict_routing_ips': False, 'dht_restrict_search_ips': False,
        'dht_prefer_verified_node_ids': False, 'dht_ignore_dark_internet': False, 'allow_multiple_connections_per_ip': True,
        'alert_mask': lt.alert.category_t.dht_notification | lt.alert.category_t.dht_operation_notification |
            lt.alert.category_t.error_notification}))
saved = job['dir']


def reply(number, value):
    print(json.dumps({'number': number, 'value': value}), flush=True)


def alert(s, kind, seconds=8.0, good=lambda a: True):
    """The next alert of a kind that is good."""
    end = time.time() + seconds
    while time.time() < end:
        s.wait_for_alert(100)
        for a in s.pop_alerts():
            if type(a).__name__ == kind and good(a):
                return a
    return None


def expanded(seed):
    """The 64 bytes that libtorrent calls a private key."""
    k = bytearray(hashlib.sha512(seed).digest())
    k[0] &= 248
    k[31] = k[31] & 63 | 64
    return bytes(k)


def meet(s, c):
    for host, port in c['nodes']:
        s.add_dht_node((host, port))
    return True


def announce(s, c):
    p = lt.parse_magnet_uri('magnet:?xt=urn:btih:' + c['hash'])
    p.save_path = saved
    s.add_torrent(p).force_dht_announce()
    return True


def seed(s, c):
    p = lt.add_torrent_params()
    p.ti = lt.torrent_info(c['torrent'])
    p.save_path = c['dir']
    p.flags |= lt.torrent_flags.seed_mode
    s.add_torrent(p).force_dht_announce()
    return True


def peers(s, c):
    s.pop_alerts()
    s.dht_get_peers(lt.sha1_hash(bytes.fromhex(c['hash'])))
    a = alert(s, 'dht_get_peers_reply_alert', 2.0)
    return a and ['%s:%d' % p for p in a.peers()]


def put(s, c):
    s.pop_alerts()
    s.dht_put_immutable_item(c['value'])
    a = alert(s, 'dht_put_alert')
    return a and a.message()


def get(s, c):
    s.pop_alerts()
    s.dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(c['target'])))
    a = alert(s, 'dht_immutable_item_alert')
    return a and text(a.item['value'])


def put_mutable(s, c):
    s.pop_alerts()
    s.dht_put_mutable_item(expanded(bytes.fromhex(c['seed'])), bytes.fromhex(c['key']), c['value'], c['salt'])
    a = alert(s, 'dht_put_alert')
    return a and a.message()


def get_mutable(s, c):
    s.pop_alerts()
    s.dht_get_mutable_item(bytes.fromhex(c['key']), c['salt'])
    a = alert(s, 'dht_mutable_item_alert', good=lambda a: a.authoritative)
    return a and text(a.item['value'])


def text(v):
    return v.decode('latin-1') if isinstance(v, bytes) else v


commands = {f.__name__: f for f in (meet, announce, seed, peers, put, get, put_mutable, get_mutable)}
print('READY', flush=True)
for line in sys.stdin:
    c = json.loads(line)
    try:
        reply(c['number'], commands[c['do']](sessions[c['session']], c))
    except Exception as e:
        reply(c['number'], 'ERROR %r' % e)
os._exit(0)

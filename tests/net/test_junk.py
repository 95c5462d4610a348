"""Junk beside good traffic: the good must not notice, memory must come back, each piece is counted.

    junk clients (4 threads) ─▶ gossamer ─▶ origin
    good clients (2 threads) ─▶     ▲
                                    └── /metrics: gossamer_refused_total{reason}
"""
import collections
import random
import socket
import threading

from lib import client, wire
from lib.node import memory_counts
from lib.settings import SEED, scaled, secs, until

JUNK = scaled("GOSSAMER_JUNK", 1000, 10000)
HEAD = b"GET /junk HTTP/1.1\r\nHost: echo\r\n"
# kind -> (bytes, reason it is counted under; None: some reason; "" nothing to count)
KINDS = {
    "two spaces": (b"GET  /junk HTTP/1.1\r\nHost: echo\r\n\r\n", "bad_head"),
    "no host": (b"GET /junk HTTP/1.1\r\n\r\n", "bad_head"),
    "folded": (HEAD + b" folded: x\r\n\r\n", "bad_head"),
    "space before colon": (HEAD + b"X : y\r\n\r\n", "bad_head"),
    "NUL in a value": (HEAD + b"X: \0\r\n\r\n", "bad_head"),
    "unknown method": (b"FOO /junk HTTP/1.1\r\nHost: echo\r\n\r\n", "unknown_method"),
    "version": (b"GET /junk HTTP/2.0\r\nHost: echo\r\n\r\n", "http_version"),
    "coding": (
        b"POST /junk HTTP/1.1\r\nHost: echo\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "unknown_coding"),
    "long line": (b"GET /" + b"j" * 20000 + b" HTTP/1.1\r\nHost: echo\r\n\r\n", "line_too_long"),
    "large head": (HEAD + b"".join(b"X-%d: %b\r\n" % (i, b"j" * 1000)
                                   for i in range(70)) + b"\r\n", "head_too_large"),
    "many fields": (HEAD + b"X: y\r\n" * 150 + b"\r\n", "head_too_large"),
    "connect": (b"CONNECT echo:80 HTTP/1.1\r\nHost: echo:80\r\n\r\n", "not_offered"),
    "both lengths": (
        b"POST /junk HTTP/1.1\r\nHost: echo\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: echo\r\n\r\n",
        None),
    "tls hello": (bytes.fromhex("16030100a5010000a10303") + wire.derived("hello", 160), None),
    "ssh": (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", None),
    "binary": (b"\x00\xff" + wire.derived("binary", 500), None),
    "h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), None),
    "half a head": (HEAD + b"X: y", ""),
    "nothing": (b"", ""),
    "blank": (b"\r\n", ""),
}


def junk_round(node, total, seed):
    """Send `total` junk connections; (how many of each kind, those not refused as they should)."""
    rng = random.Random(seed)
    todo = collections.deque(rng.choice(list(KINDS)) for _ in range(total))
    sent, wrong, lock = collections.Counter(), [], threading.Lock()

    def worker():
        while True:
            try:
                kind = todo.popleft()
            except IndexError:
                return
            data, reason = KINDS[kind]
            try:
                with node.conn(timeout=10) as c:
                    c.send(data)
                    if reason != "":
                        got = b""
                        while piece := c.recv():
                            got += piece
                        if reason is not None and not got.startswith(
                            (b"HTTP/1.1 4", b"HTTP/1.1 5")):
                            wrong.append((kind, got[:80]))
            except OSError as e:
                wrong.append((kind, repr(e)))
            with lock:
                sent[kind] += 1

    run(worker, 4)
    return sent, wrong


def run(fn, threads):
    ts = [threading.Thread(target=fn) for _ in range(threads)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()


def good_traffic(node, stop, done, failed):
    while not stop.is_set():
        try:
            with node.conn(timeout=10) as c:
                for _ in range(100):
                    ident = f"g{len(done)}"
                    m = c.ask("POST", f"/id/{ident}", body=b"x" * 100)
                    (done if m.status == 200 and m.body == ident.encode() + b"\n" else
                     failed).append(repr(m) if m.status != 200 else 1)
                    if stop.is_set():
                        return
        except (OSError, client.Cut, wire.Bad) as e:
            failed.append(repr(e))


def test_junk_beside_good_traffic(bench, capsys):
    node, origin = bench.echo()
    stop, done, failed = threading.Event(), [], []
    good = [
        threading.Thread(target=good_traffic, args=(node, stop, done, failed)) for _ in range(2)
    ]
    for t in good:
        t.start()
    try:
        rss, lines = [], []
        for number in range(2):
            before = node.refused()
            sent, wrong = junk_round(node, JUNK, SEED + number)
            assert sum(sent.values()) == JUNK and not wrong, wrong[:10]
            check_counts(node, before, sent, lines)
            rss.append(node.rss_kib())
    finally:
        stop.set()
        for t in good:
            t.join()
    with capsys.disabled():
        print(f"\n{2 * JUNK} junk connections, good {len(done)} done {len(failed)} failed, "
              f"RSS {rss} KiB; " + "; ".join(lines))
    assert not failed, failed[:5]
    assert len(done) >= 100
    assert not [r for r in origin.seen if "junk" in r.target or "smuggled" in r.target]
    if memory_counts():
        assert rss[1] <= rss[0] * 1.05, rss


def check_counts(node, before, sent, lines):
    """Every refusal under its own reason; the kinds without a fixed one under some reason."""
    want = collections.Counter()
    for kind, n in sent.items():
        if KINDS[kind][1]:
            want[KINDS[kind][1]] += n
    some = sum(n for kind, n in sent.items() if KINDS[kind][1] is None)
    left = sum(n for kind, n in sent.items() if KINDS[kind][1] == "")

    def delta():
        now = node.refused()
        return collections.Counter(
            {k: now[k] - before.get(k, 0)
             for k in now if now[k] - before.get(k, 0)})

    def counted():
        d = delta()
        return all(d[r] >= n
                   for r, n in want.items()) and sum(d.values()) >= sum(want.values()) + some

    try:
        until("every refusal counted", counted, 5)
    except AssertionError as e:
        raise AssertionError(f"{e}: {dict(delta())}, wanted {dict(want)} and {some} more") from None
    d = delta()
    for reason, n in want.items():
        if reason != "bad_head":  # where the kinds without a fixed reason may count too
            assert d[reason] <= n + some, (reason, d, want)
    assert sum(d.values()) <= sum(want.values()) + some + left, (d, want, some, left)
    lines.append(f"refused {dict(sorted(d.items()))}")


def test_connections_that_say_nothing_are_let_go(bench):
    """Half a head, then the client's end: no descriptor stays behind."""
    node, _ = bench.echo()
    assert node.ask().status == 200
    before = node.fds()
    for i in range(200):
        with node.conn() as c:
            c.send([b"", b"GET / HT", HEAD][i % 3])
            if i % 2:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until("descriptors come back", lambda: node.fds() <= before + 1, secs(3))
    assert node.ask().status == 200

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
from lib.junk import HEAD, KINDS
from lib.node import memory_counts
from lib.settings import SEED, scaled, secs, until

JUNK = scaled("GOSSAMER_JUNK", 1000, 10000)
ROUNDS_MAX = 5
GROWTH = 0.05


def grown(rss):
    """By the last round, as a part of what there was after the first: what each loses is lost in each."""
    return (rss[-1] - rss[-2]) / rss[0]


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
        for number in range(ROUNDS_MAX):
            before = node.refused()
            sent, wrong = junk_round(node, JUNK, SEED + number)
            assert sum(sent.values()) == JUNK and not wrong, wrong[:10]
            check_counts(node, before, sent, lines)
            rss.append(node.rss_kib())
            # More of them at once than ever may take more once; what is lost of each is lost in every round.
            if number and (not memory_counts() or grown(rss) <= GROWTH):
                break
    finally:
        stop.set()
        for t in good:
            t.join()
    with capsys.disabled():
        print(f"\n{len(rss) * JUNK} junk connections, good {len(done)} done {len(failed)} failed, "
              f"RSS {rss} KiB; " + "; ".join(lines))
    assert not failed, failed[:5]
    assert len(done) >= 100
    assert not [r for r in origin.seen if "junk" in r.target or "smuggled" in r.target]
    if memory_counts():
        assert grown(rss) <= GROWTH, rss


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

"""Bodies stream: a slow reader holds its writer back, and neither costs memory.

    client that reads (writes) RATE bytes/s ─▶ gossamer ─▶ origin that would send (read) at once
                                                     └── VmRSS watched all the while
"""
import concurrent.futures
import hashlib
import json
import threading
import time

import pytest

from lib import wire
from lib.client import request
from lib.lateness import late
from lib.node import memory_counts
from lib.origin import BLOCK, pattern, pattern_sha
from lib.settings import HEAVY, MIB, secs, until

BODY = (100 if HEAVY else 20) * 1000 * 1000
RATE = (1 if HEAVY else 4) * 1000 * 1000
GROWTH_KIB = 2048
RMEM_MAX = int(open("/proc/sys/net/ipv4/tcp_rmem").read().split()[2])


class Pace:
    """Holds its caller to RATE bytes a second; the clock is what is waited for, so it waits."""

    def __init__(self):
        self.began, self.bytes, self.event = time.monotonic(), 0, threading.Event()

    def spend(self, n):
        self.bytes += n
        ahead = self.bytes / RATE - (time.monotonic() - self.began)
        if ahead > 0:
            self.event.wait(ahead)


def warm(n):
    """What the first large exchange allocates once for all does not count."""
    for _ in range(3):
        assert n.ask(target="/bytes/2000000").length == 2000000
        assert n.ask("POST", "/sink", body=b"x" * 2000000).status == 200
    return n.rss_kib()


def slow_reader(n, o):
    """Both return VmRSS in KiB before and at most."""
    base = peak = warm(n)
    pace, ahead = Pace(), 0
    sent0 = o.bytes_out
    with n.conn(rcvbuf=65536, timeout=30) as c:
        c.send(request(target=f"/bytes/{BODY}"))
        c.reader.keep = 0
        c.reader.hashing = True
        while not c.reader.finished:
            data = c.recv(16384)
            assert data, f"cut at {c.reader.msg}"
            c.reader.feed(data)
            pace.spend(len(data))
            peak = max(peak, n.rss_kib())
            ahead = max(ahead, o.bytes_out - sent0 - c.reader.seen)
        m = c.reader.msg
        assert m.length == BODY and m.sha.hexdigest() == pattern_sha(BODY)
        assert time.monotonic() - pace.began >= 0.9 * BODY / RATE - 1
    # what the origin had been let send ahead: the kernel's buffers, as large as it lets them
    # grow, and what the proxy may hold
    assert ahead <= RMEM_MAX + 2 * MIB, f"the origin was {ahead} bytes ahead of the reader"
    return base, peak


def slow_writer(n, o):
    base = peak = warm(n)
    pace = Pace()
    with n.conn(timeout=30) as c:
        c.send(wire.head("POST /sink HTTP/1.1", [("Host", "echo"), ("Content-Length", BODY)]))
        for piece in pattern(BODY):
            for i in range(0, len(piece), 16384):
                assert c.send(piece[i:i + 16384])
                pace.spend(len(piece[i:i + 16384]))
            peak = max(peak, n.rss_kib())
        got = json.loads(c.answer().body)
    assert got["length"] == BODY and got["sha256"] == pattern_sha(BODY)
    return base, peak


@pytest.fixture(scope="module")
def slow(module_bench):
    """Both at once, each with a node of its own, for they do little but wait."""
    made = {
        slow_reader: module_bench.echo(origin={"sndbuf": 65536}),
        slow_writer: module_bench.echo(origin={"hashing": True}),
    }
    with concurrent.futures.ThreadPoolExecutor(len(made)) as pool:
        yield {f: pool.submit(f, *pair) for f, pair in made.items()}


def judge(tell, what, base, peak):
    tell(f"{what}: RSS {base} KiB, at most {peak - base:+} KiB")
    if memory_counts():
        assert peak - base <= GROWTH_KIB


@pytest.mark.parametrize("what", [slow_reader, slow_writer], ids=lambda f: f.__name__)
def test_slow_ends_cost_no_memory(slow, what, tell):
    judge(tell, f"{what.__name__}: {BODY} bytes at {RATE}/s", *slow[what].result())


def test_slow_origin_holds_the_writer_back(bench, tell):
    """The origin reads nothing until a gate opens: the client is stopped by TCP, not by memory."""
    n, o = bench.echo()

    async def late(c, req, seg, q):
        await o.gates["read"].wait()
        await c.body()
        await c.answer(200, str(req.length).encode())

    o.scripts["late"] = late
    base = peak = warm(n)
    total, sent = 64 * MIB, 0
    with n.conn(timeout=30) as c:
        c.send(wire.head("POST /late HTTP/1.1", [("Host", "echo"), ("Content-Length", total)]))
        c.sock.setblocking(False)
        quiet_since = time.monotonic()
        while sent < total and time.monotonic() - quiet_since < secs(
                1):  # a second without progress: held
            try:
                sent += c.sock.send(BLOCK[:min(len(BLOCK), total - sent)])
                quiet_since = time.monotonic()
            except BlockingIOError:
                threading.Event().wait(0.01)
            peak = max(peak, n.rss_kib())
        assert sent < total, "64 MiB were taken although nobody reads them"
        o.open_gate("read")
        c.sock.settimeout(secs(30))
        while sent < total:
            sent += c.sock.send(BLOCK[:min(len(BLOCK), total - sent)])
        assert c.answer().body == str(total).encode()
    judge(tell, "held writer", base, peak)


def test_early_close_of_the_reader_frees_the_upstream(bench):
    n, o = bench.echo()
    for leave in ("close", "abort"):
        c = n.conn(rcvbuf=65536)
        c.send(request(target="/bytes/500000000"))
        c.head()
        used = o.conns[o.seen[-1].conn]
        assert used.closed_at is None
        left = time.monotonic()
        getattr(c, leave)()
        until("the origin sees the close", lambda: used.closed_at is not None, 2)
        assert used.closed_at - left <= secs(2) + late(left) and used.bytes_out < 400000000
    for quiet in ("/hang", "/hold/never"):  # also while the origin says nothing
        c = n.conn()
        c.send(request(target=quiet))
        until("the request came", lambda: o.seen[-1].target == quiet)
        used = o.conns[o.seen[-1].conn]
        c.abort()
        if quiet == "/hang":
            until("the origin sees the close", lambda: used.closed_at is not None, 2)
    assert n.ask(target="/id/good").body == b"good\n"


def test_many_slow_readers_share_the_budget(bench):
    """Sixteen readers that take the head and then nothing: bounded, and others are served."""
    n, o = bench.echo()
    base = warm(n)
    conns = [n.conn(rcvbuf=16384) for _ in range(16)]
    for c in conns:
        c.send(request(target="/bytes/20000000"))
        assert c.head().status == 200
    settled = [0, 0]

    def still():
        settled[0], settled[1] = settled[1], o.bytes_out
        threading.Event().wait(0.1)
        return settled[0] == settled[1]

    until("the origin is held back", still, 10)
    for i in range(50):
        assert n.ask(target=f"/id/{i}").body == f"{i}\n".encode()
    if memory_counts():
        assert n.rss_kib() - base <= 16 * 512, "more than half a MiB for each reader"
    for c in conns:
        c.close()
    until("upstreams are freed", lambda: not o.open_conns(), 5)

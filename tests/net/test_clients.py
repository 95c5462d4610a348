"""The HTTP clients that people use, as they use a proxy.

    curl, requests, httpx, aiohttp, node ──http_proxy──▶ gossamer ─▶ origin

Each: N requests over a kept connection, bodies both ways with and without a length (SHA-256 equal),
and server-sent events that must arrive within 20 ms of their stamp (99 of 100), or of when straight ones do.
"""
import contextlib
import functools
import json
import math
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

from lib.client import Conn, request
from lib.lateness import late
from lib.origin import pattern, pattern_sha
from lib.settings import HEAVY, PYVENV, scaled, secs, until

HERE = pathlib.Path(__file__).resolve().parent / "lib" / "clients"
N = scaled("GOSSAMER_REQUESTS", 2000, 2000)
BODY = (100 if HEAVY else 20) * 1000 * 1000
EVENTS, GAP_MS = (500, 5) if HEAVY else (200, 5)
LATE_MS = 20


@pytest.fixture(scope="module")
def net(module_bench):
    return module_bench.echo(origin={"hashing": True})


def missing(what):
    """A counterpart that cannot be had is a skip with its reason, in CI too; never a pass."""
    pytest.skip(f"{what}: this client was NOT tested")


def p99(events):
    """Milliseconds from its stamp to its arrival, without what the machine stood still in between."""

    def delay(arrived, stamp):
        raw = (arrived - stamp) / 1e6
        return raw - 1000 * late(stamp / 1e9, arrived / 1e9 + 0.05) if raw > LATE_MS else raw

    return sorted(delay(*e) for e in events)[math.ceil(len(events) * 0.99) - 1]


def read_events(read, events):
    """Into a list of (arrived, stamp), until there is nothing more."""
    rest = b""
    while data := read():
        now = time.monotonic_ns()
        rest += data
        while b"\n\n" in rest:
            event, _, rest = rest.partition(b"\n\n")
            events.append((now, int(event.rpartition(b"data: ")[2])))


class Straight:
    """The same events at the same time without the proxy: what the machine alone makes of them."""

    def __init__(self, origin):
        self.conn, self.events = Conn(origin.addr, 60), []
        self.thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self.conn.send(request(target=f"/sse?n=1000000&gap_ms={GAP_MS}"))
        self.thread.start()
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(OSError):
            self.conn.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(secs(10))
        self.conn.close()

    def _read(self):
        with contextlib.suppress(OSError):
            read_events(lambda: self.conn.sock.recv(65536), self.events)

    def p99(self, events):
        """Of those that were sent while these were."""
        first, last = events[0][1], events[-1][1]
        until("the straight ones are here", lambda: self.events and self.events[-1][1] >= last)
        return p99([e for e in list(self.events) if first <= e[1] <= last])


def in_time(net, ask, again):
    """What ask() says, with its events from the first of ten answers in which they came in time, and by how
    much later they were than straight ones: one thread that waits for a processor, which the watcher of another
    one does not see, makes too many late, and what holds events back does so in each answer. again(): for
    events alone."""
    with Straight(net[1]) as straight:
        got = ask()
        for tries in range(10):
            if tries:
                got["events"] = again()["events"]
            got["behind"] = p99(got["events"]) - straight.p99(got["events"])
            if got["behind"] <= secs(LATE_MS):
                break
    return got


def run(cmd, **kw):
    env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    p = subprocess.run(cmd,
                       stdin=subprocess.DEVNULL,
                       capture_output=True,
                       timeout=secs(300),
                       env=env,
                       **kw)
    assert p.returncode == 0, (cmd[:4], p.returncode, p.stderr.decode()[-2000:])
    return p.stdout


def check(capsys, name, got):
    with capsys.disabled():
        print(f"\n{name}: {got['good']} of {N} requests; {BODY} bytes each way; "
              f"{len(got['events'])} events, p99 {p99(got['events']):.2f} ms, "
              f"{got['behind']:+.2f} to straight ones")
    assert got["good"] == N
    for way in ("down", "chunked_down"):
        assert got["sums"][way] == [BODY, pattern_sha(BODY)], way
    for way, framing in (("up", "length"), ("chunked_up", "chunked")):
        assert (got[way]["length"], got[way]["sha256"],
                got[way]["framing"]) == (BODY, got["up_sha"], framing), way
    assert len(got["events"]) == EVENTS
    assert got["behind"] <= secs(LATE_MS)


def asked(net, capsys, name, *cmd):
    """All of it by one client program."""

    def go(n, body):
        node, _ = net
        argument = {
            "proxy": "http://%s:%d" % node.outbound, "base": "http://echo.default", "n": n,
            "body": body, "events": EVENTS, "gap_ms": GAP_MS
        }
        return json.loads(run([*cmd, json.dumps(argument)]))

    check(capsys, name, in_time(net, lambda: go(N, BODY), lambda: go(0, 1)))


@pytest.mark.parametrize("lib", ["requests", "httpx", "aiohttp"])
def test_python(net, capsys, lib):
    python = PYVENV or sys.executable
    if subprocess.run([python, "-c", f"import {lib}"], capture_output=True).returncode:
        missing(f"{lib} is not installed for {python} (GOSSAMER_PYVENV)")
    asked(net, capsys, lib, python, "-B", str(HERE / "python_client.py"), lib)


def test_node(net, capsys):
    node = shutil.which("node")
    if not node:
        missing("node is not installed")
    asked(net, capsys, "node", node, str(HERE / "node_client.js"))


@pytest.fixture
def curl(net):
    path = shutil.which("curl")
    if not path:
        missing("curl is not installed")
    node, _ = net

    def go(*args):
        env = {
            **{
                k: v
                for k, v in os.environ.items() if "proxy" not in k.lower()
            }, "http_proxy": "http://%s:%d" % node.outbound
        }
        return [path, "-q", "-sS", "--fail", "--noproxy", "", *args], env

    return go


def curled(curl, *args, **kw):
    cmd, env = curl(*args)
    p = subprocess.run(cmd,
                       stdin=subprocess.DEVNULL,
                       capture_output=True,
                       timeout=secs(300),
                       env=env,
                       **kw)
    assert p.returncode == 0, (args, p.returncode, p.stderr.decode()[-1000:])
    return p


def test_curl_keeps_its_connection(net, curl):
    """One curl, N transfers: every body in order, one connection made."""
    p = curled(curl, "-w", "%{stderr}%{http_code} %{num_connects}\n",
               f"http://echo.default/id/[1-{N}]")
    assert p.stdout == b"".join(b"%d\n" % i for i in range(1, N + 1))
    lines = p.stderr.decode().split("\n")[:-1]
    assert len(lines) == N and {x.split()[0]
                                for x in lines} == {"200"} and sum(
                                    int(x.split()[1]) for x in lines) == 1


def test_curl_bodies(net, curl, tmp_path):
    total = 100 * 1000 * 1000
    up, down = tmp_path / "up", tmp_path / "down"
    with open(up, "wb") as f:
        f.writelines(pattern(total))
    want = {"length": total, "sha256": pattern_sha(total)}
    for more, framing in (([], "length"), (["-H", "Transfer-Encoding: chunked"], "chunked"),
                          (["-H", "Expect: 100-continue"], "length")):
        got = json.loads(
            curled(curl, "-X", "POST", "-T", str(up), *more, "http://echo/sink").stdout)
        assert got == {**want, "framing": framing}
    for target in ("bytes", "chunked"):
        curled(curl, "-o", str(down), f"http://echo/{target}/{total}")
        assert down.stat().st_size == total
        assert down.read_bytes() == up.read_bytes(), target


def test_curl_sees_a_cut(net, curl):
    for target, codes in (("cut/length", (18, 56)), ("cut/chunked", (18, 56))):
        cmd, env = curl(f"http://echo/{target}")
        p = subprocess.run(cmd,
                           stdin=subprocess.DEVNULL,
                           capture_output=True,
                           timeout=secs(30),
                           env=env)
        assert p.returncode in codes, (target, p.returncode, p.stderr)


def curl_events(cmd, env):
    events = []
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env, bufsize=0)
    try:
        read_events(lambda: p.stdout.read(65536), events)
        assert p.wait(secs(10)) == 0
    finally:
        p.kill()
        p.wait()
    return {"events": events}


def test_curl_events(net, curl, capsys):
    cmd, env = curl("-N", f"http://echo/sse?n={EVENTS}&gap_ms={GAP_MS}")
    ask = functools.partial(curl_events, cmd, env)
    got = in_time(net, ask, ask)
    with capsys.disabled():
        print(f"\ncurl: {len(got['events'])} events, p99 {p99(got['events']):.2f} ms, "
              f"{got['behind']:+.2f} to straight ones")
    assert len(got["events"]) == EVENTS and got["behind"] <= secs(LATE_MS)


def test_curl_other_ways_in(net, curl):
    """HEAD, a form, a range of methods, --http1.0, and origin-form straight at the listener."""
    node, _ = net
    assert b"content-length: 9" in curled(curl, "-I", "http://echo/bytes/9").stdout.lower()
    assert json.loads(curled(curl, "-d", "a=b", "http://echo/echo").stdout)["body"] == "a=b"
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        assert json.loads(curled(curl, "-X", method, "http://echo/echo").stdout)["method"] == method
    assert curled(curl, "--http1.0", "http://echo/chunked/5000").stdout == b"".join(pattern(5000))
    assert curled(curl, "--proxy", "", "-H", "Host: echo",
                  "http://%s:%d/id/direct" % node.outbound).stdout == b"direct\n"

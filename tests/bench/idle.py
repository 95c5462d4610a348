#!/usr/bin/env python3
"""Memory per idle connection: opens LOW and then HIGH keep-alive connections, one request on each,
and prints the slope between the two: what a process has at start or allocates once does not count.

    HIGH idle clients (this process) ─▶ proxy, one worker ─▶ origin

Needs two descriptors for each connection (one here, one there): `ulimit -n` above HIGH + 100."""
import argparse
import os
import resource
import socket
import statistics
import sys
import tempfile
import time

from bench import HERE, HOST, PROXIES, end, memory_kib, program, start_origin, start_proxy

ASK = b"GET /64 HTTP/1.1\r\nHost: echo.default\r\n\r\n"


def open_until(conns, port, n):
    """Connections that have each had one whole answer."""
    while len(conns) < n:
        s = socket.create_connection((HOST, port), timeout=10)
        s.sendall(ASK)
        got = b""
        while len(got.partition(b"\r\n\r\n")[2]) < 64:
            data = s.recv(65536)
            if not data:
                raise SystemExit(f"connection {len(conns) + 1} was closed after {got[:80]!r}")
            got += data
        if not got.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"connection {len(conns) + 1}: {got[:80]!r}")
        conns.append(s)


def settled(pid, timeout=5):
    """Memory once it stands still (pools trim after a moment), or what it is at the deadline."""
    last, deadline = [], time.monotonic() + timeout
    while time.monotonic() < deadline:
        last.append(memory_kib(pid))
        if len(last) >= 8 and len(set(last[-8:])) == 1:
            break
        time.sleep(0.1)
    return last[-1]


def still_open(conns):
    n = 0
    for s in conns:
        s.setblocking(False)
        try:
            n += s.recv(1) != b""
        except BlockingIOError:
            n += 1
        except OSError:
            pass
    return n


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin",
                    default=os.environ.get("GOSSAMER_BIN",
                                           str(HERE.parents[1] / "build" / "gossamer")))
    ap.add_argument("--proxies", default="gossamer", help=f"of {', '.join(PROXIES)}")
    ap.add_argument("--low", type=int, default=2000)
    ap.add_argument("--high", type=int, default=8000)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--at-most",
                    type=int,
                    default=0,
                    help="exit 1 when gossamer needs more bytes a connection than this")
    a = ap.parse_args()
    a.bin = os.path.abspath(a.bin)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if limit < a.high + 100:
        raise SystemExit(f"{limit} descriptors are not enough for {a.high} connections")
    print(f"{'':10}{'idle MiB':>9}{f'{a.low} MiB':>10}{f'{a.high} MiB':>10}"
          f"{'RSS B/conn':>12}{'private B/conn':>16}")
    failed = False
    with tempfile.TemporaryDirectory(prefix="gossamer-bench-") as d, open(
            os.path.join(d, "log"), "ab") as log:
        origin, up = start_origin(d, log)
        try:
            for name in a.proxies.split(","):
                if name != "gossamer" and not program(name):
                    print(f"{name:10} not here")
                    continue
                slopes = [one(name, d, up, a, log) for _ in range(a.rounds)]
                failed |= name == "gossamer" and a.at_most and statistics.median(slopes) > a.at_most
        finally:
            end(origin)
    return 1 if failed else 0


def one(name, d, up, a, log):
    p, port = start_proxy(name, d, up, a.bin, log)
    conns = []
    try:
        m = [settled(p.pid)]
        for n in (a.low, a.high):
            open_until(conns, port, n)
            m.append(settled(p.pid))
        if still_open(conns) != a.high:
            raise SystemExit(
                f"{name}: only {still_open(conns)} of {a.high} connections are still open")
        per = [(m[2][i] - m[1][i]) * 1024 / (a.high - a.low) for i in (0, 1)]
        mib = [x[0] / 1024 for x in m]
        print(f"{name:10}{mib[0]:9.1f}{mib[1]:10.1f}{mib[2]:10.1f}{per[0]:12.0f}{per[1]:16.0f}",
              flush=True)
        return per[0]
    finally:
        for s in conns:
            s.close()
        end(p)


if __name__ == "__main__":
    sys.exit(main())

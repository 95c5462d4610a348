"""SIGTERM finishes what runs, takes nothing new, and ends.

    client ──slow answer──▶ gossamer ◀── SIGTERM
    new client ──╳──▶          └─▶ origin, which holds its answer until a gate opens
"""
import socket
import subprocess
import time

import pytest

from lib import wire
from lib.client import Cut, request
from lib.settings import secs, until


def turned_away(n):
    """A new connection is refused, cut, or answered 503 with Connection: close."""
    try:
        m = n.ask(target="/id/new", timeout=2)
    except (OSError, Cut):
        return True
    assert m.status in (200, 503), m
    return m.status == 503 and "close" in m.tokens("Connection") and wire.proxy_status(m).get(
        "error") == "destination_unavailable"


def test_a_slow_answer_completes(bench):
    n, o = bench.echo(timeouts={"drain": "30s"})
    with n.conn() as half, n.conn() as held, n.conn() as body:
        half.send(request(target="/half/go"))
        assert half.head().status == 200  # its head has left
        held.send(request(target="/hold/go"))  # asked, not answered
        body.send(
            wire.head("POST /sink HTTP/1.1", [("Host", "echo"), ("Content-Length", 10)]) + b"12345")
        until("all three are under way",
              lambda: {"/half/go", "/hold/go", "/sink"} <= set(o.targets()))
        n.term()
        until("new connections are turned away", lambda: turned_away(n))
        assert n.alive()
        o.open_gate("go")
        body.send(b"67890")
        assert half.answer().length == 2000
        m = held.answer()
        assert m.body == b"held" and "close" in m.tokens("Connection")
        assert b'"length": 10' in body.answer().body
        for c in (half, held, body):
            assert c.until_closed() == b""
        assert n.wait(10) == 0


def test_not_ready_while_draining(bench):
    n, o = bench.echo(timeouts={"drain": "30s"})
    with n.conn() as c:
        c.send(request(target="/hold/go"))
        until("under way", lambda: "/hold/go" in o.targets())
        n.term()
        until("/ready says 503", lambda: n.admin_request("GET", "/ready")[0] == 503)
        assert n.admin_request("GET", "/live")[0] == 200
        o.open_gate("go")
        assert c.answer().body == b"held"
        assert n.wait(10) == 0


def test_nothing_running_ends_at_once(bench):
    n, o = bench.echo(timeouts={"drain": "30s"})
    assert n.ask().status == 200
    began = time.monotonic()
    n.term()
    assert n.wait(10) == 0
    assert time.monotonic() - began < secs(1.0)
    until("the origin's connections are closed", lambda: not o.open_conns(), 2)
    with socket.socket(socket.AF_UNIX) as s:
        assert s.connect_ex(n.socket_path) != 0


def test_idle_keep_alive_connections_are_closed(bench):
    n, o = bench.echo(timeouts={"drain": "30s"})
    idle = [n.conn() for _ in range(20)]
    for i, c in enumerate(idle):
        if i % 2:
            assert c.ask(target="/id/x").status == 200  # half of them never asked anything
    began = time.monotonic()
    n.term()
    for c in idle:
        assert c.until_closed(3) == b""
        c.close()
    assert n.wait(10) == 0
    assert time.monotonic() - began < secs(2.0)


def test_what_does_not_end_is_cut_at_the_limit(bench):
    n, o = bench.echo(timeouts={"drain": "1s"})
    with n.conn() as hang, n.conn() as half:
        hang.send(request(target="/hold/never"))
        half.send(request(target="/half/never"))
        half.head()
        until("under way", lambda: {"/hold/never", "/half/never"} <= set(o.targets()))
        began = time.monotonic()
        n.term()
        assert n.wait(15) == 0
        took = time.monotonic() - began
        assert 0.9 <= took <= secs(4)
        with pytest.raises(Cut):
            half.answer()
        try:
            assert hang.answer().status == 503
        except Cut as e:
            assert e.msg is None


def test_sigint_is_sigterm_and_a_second_one_does_not_wait(bench):
    n, o = bench.echo(timeouts={"drain": "60s"})
    n.exit_wanted = None
    with n.conn() as c:
        c.send(request(target="/hold/never"))
        until("under way", lambda: "/hold/never" in o.targets())
        n.proc.send_signal(2)
        until("new connections are turned away", lambda: turned_away(n))
        n.proc.send_signal(2)
        try:
            n.wait(10)
        except subprocess.TimeoutExpired:
            raise AssertionError("a second SIGINT did not end the drain") from None


def test_restart_on_the_same_ports(bench):
    """Ten stops and starts in place, with keep-alive clients: the ports are free each time."""
    n, o = bench.echo()
    for i in range(10):
        with n.conn() as c:
            assert c.ask(target=f"/id/{i}").body == f"{i}\n".encode()
            n.term()
            assert n.wait(10) == 0
        n.start()
    assert n.ask(target="/id/last").body == b"last\n"

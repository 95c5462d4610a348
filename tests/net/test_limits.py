"""Everything has a limit, each with its own reason.

    client that is slow, silent or large ─▶ gossamer ─▶ origin that is silent
"""
import contextlib
import itertools
import signal
import time

import pytest

from lib import wire
from lib.client import request
from lib.lateness import late, undisturbed
from lib.node import service
from lib.settings import secs, until

LIMITS = {"head": "1s", "body_idle": "1s", "idle": "1s", "connect": "1s"}


@pytest.fixture(scope="module")
def net(module_bench):
    o = module_bench.origin("echo")
    return module_bench.node([service("echo", [o])], timeouts=LIMITS), o


@pytest.fixture(scope="module")
def hurried(module_bench):
    """The same with timeouts.response, which spans a slow request's body too."""
    o = module_bench.origin("echo")
    return module_bench.node([service("echo", [o])], timeouts={"response": "1s"}), o


def refused_under(n, reason):
    return n.refused().get(reason, 0)


def within(began, low, high):
    """`began`: before the node could have begun to wait."""
    took = time.monotonic() - began
    assert low <= took <= secs(high) + late(began), f"after {took:.2f} s"


def timed(c, data, status, error, low, high, method="GET"):
    """What is sent is answered for its lateness alone."""
    began = time.monotonic()
    c.send(data)
    m = c.answer(method, timeout=high + 20)
    assert m.status == status and wire.proxy_status(m).get("error") == error, m
    within(began, low, high)
    return m


@pytest.mark.parametrize(
    "sent",
    [b"GET / HT", b"GET / HTTP/1.1\r\nHost: echo\r\nX-A: b", b"GET / HTTP/1.1\r\nHost: echo\r\n"])
def test_slow_head_is_408(net, sent):
    n, o = net
    before, seen = refused_under(n, "head_timeout"), len(o.seen)
    with n.conn() as c:
        m = timed(c, sent, 408, "http_request_error", 0.8, 2.0)
        assert "close" in m.tokens("Connection") and c.until_closed() == b""
    assert len(o.seen) == seen
    until("counted", lambda: refused_under(n, "head_timeout") == before + 1)


def test_a_trickle_does_not_stretch_the_head(net):
    """The limit holds for the whole head, not from byte to byte."""
    n, _ = net
    with n.conn() as c:
        began = time.monotonic()
        data = b"GET / HTTP/1.1\r\nHost: echo\r\nX-A: " + b"b" * 200
        k = 0
        while c.quiet() and k < len(data):
            c.send(data[k:k + 1])
            k += 1
            c.sock.settimeout(0.05)
            try:
                c.reader.feed(c.sock.recv(65536))
            except TimeoutError:
                pass
            except ConnectionResetError:
                break
            if c.reader.finished:
                break
        within(began, 0.8, 2.5)
        assert c.reader.finished and c.reader.msg.status == 408


def test_second_head_has_its_own_time(net):
    n, _ = net
    with n.conn() as c:
        assert c.ask(target="/id/1").status == 200
        timed(c, b"GET / HT", 408, "http_request_error", 0.8, 2.0)
        assert c.until_closed() == b""


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_slow_request_body_is_408(net, framing):
    n, o = net
    with n.conn() as c:
        if framing == "length":
            data = wire.head("POST /sink HTTP/1.1", [("Host", "echo"), ("Content-Length", 10)]) + b"12345"
        else:
            data = wire.head("POST /sink HTTP/1.1", [("Host", "echo"), ("Transfer-Encoding", "chunked")])
            data += wire.chunk(b"12345")
        m = timed(c, data, 408, "http_request_error", 0.8, 2.0)
        assert "close" in m.tokens("Connection") and c.until_closed() == b""
    mine = o.seen[-1]
    until("the origin's side ends", lambda: o.conns[mine.conn].closed_at is not None, 3)
    assert not mine.complete


def test_a_body_that_comes_slowly_but_comes_is_taken(net):
    """body_idle is the time without a byte: this one takes 2 s in all."""
    n, _ = net

    def case():
        with n.conn() as c:
            c.send(wire.head("POST /sink HTTP/1.1", [("Host", "echo"), ("Content-Length", 10)]))
            for _ in range(9):
                c.send(b"x")
                c.sock.settimeout(0.2)
                try:
                    assert not c.sock.recv(1), "it is answered before it has come"
                except TimeoutError:
                    pass
            c.send(b"x")
            assert b'"length": 10' in c.answer().body

    undisturbed(case, 0.4)


def test_idle_keep_alive_is_closed(net):
    n, _ = net
    with n.conn() as c:
        began = time.monotonic()
        assert c.ask(target="/id/1").status == 200
        assert c.until_closed(4) == b""
        within(began, 0.8, 2.0)


def test_a_connection_that_never_asks_is_closed(net):
    n, _ = net
    began = time.monotonic()
    with n.conn() as c:
        stray = c.until_closed(4)
        assert stray == b"" or stray.startswith(b"HTTP/1.1 408 ")
        within(began, 0.8, 2.5)


def test_response_timeout_is_504(hurried):
    n, o = hurried
    before = len(o.seen)
    with n.conn() as c:
        timed(c, request("POST", "/hang", body=b"x"), 504, "http_response_timeout", 0.9, 1.8, "POST")
    assert len(o.seen) == before + 1, "a POST that was sent is not sent again"
    until("flag UT", lambda: n.stat("echo", "outbound")["flags"].get("UT", 0) >= 1)
    used = o.conns[o.seen[-1].conn]
    until("the silent connection is closed", lambda: used.closed_at is not None, 2)
    with n.conn() as c:  # a GET may be tried again meanwhile, but not for ever
        timed(c, request(target="/hang"), 504, "http_response_timeout", 0.9, 4.0)

    def goes_on():
        assert n.ask(target="/id/next").body == b"next\n"

    undisturbed(goes_on, 0.5)


def test_response_timeout_is_for_the_head(hurried):
    """An answer that has begun in time may run as long as it likes: streams do."""
    n, o = hurried
    gates = (f"late-{i}" for i in itertools.count())

    def case():
        gate = next(gates)
        with n.conn() as c:
            c.send(request(target=f"/half/{gate}"))
            assert c.head(timeout=20).status == 200
            c.sock.settimeout(1.5)
            with pytest.raises(TimeoutError):
                while True:
                    data = c.sock.recv(65536)
                    assert data, "cut"
                    c.reader.feed(data)
            o.open_gate(gate)
            assert c.answer().length == 2000

    undisturbed(case, 0.5)


def test_head_too_large_is_431(net):
    n, _ = net
    for fields in ([("X-A", "y" * 66000)], [(f"X-{i}", "y" * 900) for i in range(80)]):
        with n.conn() as c:
            c.send(request(fields=fields))
            m = c.answer()
            assert m.status == 431 and wire.proxy_status(
                m)["error"] == "http_request_error" and c.until_closed() == b""
    assert n.ask(fields=[("X-A", "y" * 50000)]).status == 200


def test_101_fields_are_431(net):
    n, _ = net
    assert n.ask(fields=[(f"X-{i}", "y") for i in range(99)]).status == 200
    with n.conn() as c:
        c.send(request(fields=[(f"X-{i}", "y") for i in range(100)]))
        assert c.answer().status == 431 and c.until_closed() == b""


def test_long_request_line_is_414(net):
    n, _ = net
    assert n.ask(target="/" + "x" * 16000).status == 200
    with n.conn() as c:
        c.send(request(target="/" + "x" * 17000))
        assert c.answer().status == 414 and c.until_closed() == b""


def test_large_answer_head_is_502(net):
    n, o = net
    o.raw["big"] = (wire.head("HTTP/1.1 200 OK",
                              [(f"X-{i}", "y" * 900)
                               for i in range(80)] + [("Content-Length", 0)]), "close")
    m = n.ask(target="/raw/big")
    assert m.status == 502 and wire.proxy_status(m)["error"] == "http_response_header_section_size"


def test_a_stalled_reader_does_not_hold_others(net):
    n, _ = net
    with n.conn(rcvbuf=4096) as c:
        c.send(request(target="/bytes/30000000"))
        c.head()
        for i in range(200):
            assert n.ask(target=f"/id/{i}").body == f"{i}\n".encode()


# ---- a node that stood still ---------------------------------------------------------------------


@contextlib.contextmanager
def stopped(n, seconds):
    """The node stands still for so long at least, as on a machine that has no processor for it."""
    n.proc.send_signal(signal.SIGSTOP)
    try:
        until("it is stopped", lambda: n.is_stopped())
        began = time.monotonic()
        yield
        until("its time is over", lambda: time.monotonic() - began > seconds, seconds + 5)
    finally:
        n.proc.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("method", ("GET", "POST"))
def test_an_answer_that_came_while_the_node_stood_still_is_in_time(hurried, method):
    """When it goes on, timers and sockets are due at once: what has come is looked at first."""
    n, o = hurried
    gates = (f"still-{method}-{i}" for i in itertools.count())

    def case():
        gate = next(gates)
        with n.conn() as c:
            c.send(request(method, f"/hold/{gate}", body=b"x" if method == "POST" else None))
            until("it waits there", lambda: o.targets().count(f"/hold/{gate}") == 1)
            with stopped(n, 1.5):
                sent = o.bytes_out
                o.open_gate(gate)
                until("it is answered", lambda: o.bytes_out > sent)
            assert c.answer(method).status == 200
        assert o.targets().count(f"/hold/{gate}") == 1

    undisturbed(case, 0.2)


def test_a_head_that_came_while_the_node_stood_still_is_in_time(net):
    n, _ = net

    def case():
        with n.conn() as c:
            c.send(b"GET /id/1 HT")
            c.wait_read(5)
            with stopped(n, 1.5):
                c.send(b"TP/1.1\r\nHost: echo\r\n\r\n")
            assert c.answer().status == 200

    undisturbed(case, 0.2)

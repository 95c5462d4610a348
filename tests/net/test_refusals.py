"""What another node's way to end a stream lets us do with the request.

    client ─▶ a ══ HTTP/2 ══▶ x, a node that is scripted frame by frame (lib/h2.py Server)
                 ══ HTTP/2 ══▶ c, a node, and its instance

Each case is met by one request at x; then x would serve. A POST that was sent there may be done once
at the most, unless x says in words that it was not.
"""
import hashlib
import itertools
import json
import time

import pytest

from lib import client, wire
from lib.faults import Level
from lib.h2 import Server
from lib.lateness import late
from lib.settings import HOST, secs, until
from lib.transport import BIN, Mesh

pytestmark = pytest.mark.skipif(not BIN, reason="MESH_NODE_BIN is not set")

NO_ERROR, INTERNAL, REFUSED, CANCEL = 0, 2, 7, 8
RESETS = {"no_error": NO_ERROR, "internal": INTERNAL, "refused": REFUSED, "cancel": CANCEL}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"


def whole(request):
    head, blank, body = request.partition(b"\r\n\r\n")
    length = [k for k in head.lower().split(b"\r\n") if k.startswith(b"content-length:")]
    return bool(blank) and len(body) >= (int(length[0][15:]) if length else 0)


def own(status, outcome, more=""):
    return (f"HTTP/1.1 {status} S\r\n{more}gossamer-outcome: {outcome}\r\n"
            "Content-Length: 2\r\n\r\nno").encode()


class Place:
    """a's service `echo` is at x and at c. `fail` is what x does to the first request it gets
    (in `after` good ones); all that come whole are in `requests`."""

    def __init__(self, mesh, bench):
        self.o, self.a, self.x = bench.origin("echo", hashing=True), mesh.node("a", workers=1), Server()
        mesh.nodes["x"] = self.x
        mesh.node("c", workers=1)
        mesh.service("echo", {"x": [(9, None)], "c": [(self.o, None)]})
        mesh.publish()
        self.requests, self.failed, self.good = [], 0, 0
        self.x.asked = self.serve
        self.level = Level([self, self.o])
        self.slow = 0.0  # what x is not: it is what is waited for

    @property
    def seen(self):
        """Level's view of x, which is done once it was asked."""
        return self.requests

    def serve(self, link, s, request):
        if not whole(request):
            return False
        self.requests.append(request)
        link.say(s, OK)
        return True

    def script(self, fail, at_open=False, after=0):
        self.after = after

        def opened(link, s):
            if self.failed or not at_open:
                link.accept(s)
                return
            self.failed = 1
            fail(link, s)

        def asked(link, s, request):
            if self.failed or at_open or not whole(request):
                return self.serve(link, s, request)
            self.requests.append(request)
            if self.good < self.after:
                self.good += 1
                link.say(s, OK)
            else:
                self.failed = 1
                fail(link, s)
            return True

        self.x.opened, self.x.asked = opened, asked

    def ask(self, method, timeout=10):
        """Until x has failed one; that one's (answer, times it came to x whole, times to c). What a
        slow first answer makes the balancer think of x takes its time to fade, so c is slow, too."""
        for i in self.tries():
            body = b"hello" if method == "POST" else None
            m = client.ask(self.a.outbound, method, f"/id/k{i}", "echo", body=body, timeout=timeout)
            if self.failed:
                want = f"/id/k{i} ".encode()
                return (m, sum(want in r for r in self.requests),
                        self.o.targets().count(f"/id/k{i}"))
            assert m.status == 200

    def tries(self):
        began = time.monotonic()
        for i in itertools.count():
            self.level()
            yield i
            over = time.monotonic() - began - secs(30)
            assert over <= 0 or over <= late(began), "x was never asked"


@pytest.fixture
def place(bench):
    m = Mesh()
    yield Place(m, bench)
    m.stop()


def goaways(*last):

    def fail(link, s):
        for k in last:
            link.goaway(s if k is None else k)

    return fail


def then(*steps):

    def fail(link, s):
        for step in steps:
            step(link, s)

    return fail


def end(link, s):
    link.say(s, b"", True)


def close(link, s):
    link.close()


def said(data, *steps):
    return then(lambda link, s: link.say(s, data), *steps)


def reset(code):
    return lambda link, s: link.reset(s, code)


UNOPENED = {
    **{f"rst-{k}": reset(v) for k, v in RESETS.items()},
    "goaway-below": goaways(0),
    "goaway-at-close": then(goaways(None), close),
    "goaway-above-reset": then(goaways(0x7fffffff), reset(CANCEL)),
    "goaway-twice": goaways(0x7fffffff, 0),
    "goaway-growing": goaways(0, 0x7fffffff),
    "close": close,
    "503": lambda link, s: link.refuse(s, 503),
    "500-processed": lambda link, s: link.refuse(s, 500, ("gossamer-outcome", "processed")),
    "421": lambda link, s: link.refuse(s, 421, ("gossamer-outcome", "not-processed")),
}


@pytest.mark.parametrize("method", ("GET", "POST"))
@pytest.mark.parametrize("how", UNOPENED)
def test_a_stream_that_was_not_opened_has_sent_nothing(place, how, method):
    """No request leaves before the 200 of its stream: any method goes elsewhere."""
    place.script(UNOPENED[how], at_open=True)
    m, at_x, at_c = place.ask(method)
    assert (m.status, at_x, at_c) == (200, 0, 1), m
    assert place.a.alive()


SENT = {
    **{f"rst-{k}": reset(v) for k, v in RESETS.items()},
    "goaway-below": goaways(0),
    "goaway-at-close": then(goaways(None), close),
    "goaway-above-reset": then(goaways(0x7fffffff), reset(CANCEL)),
    "goaway-twice": goaways(0x7fffffff, 0),
    "close": close,
    "end": end,
    "end-reset": then(end, reset(REFUSED)),
}


@pytest.mark.parametrize("after", [0, 1], ids=["fresh", "kept"])
@pytest.mark.parametrize("method", ("GET", "POST"))
@pytest.mark.parametrize("how", SENT)
def test_what_was_sent_on_a_stream_is_sent_again_only_if_it_may(place, how, method, after):
    place.script(SENT[how], after=after)
    m, at_x, at_c = place.ask(method)
    if method == "GET":
        assert m.status == 200 and at_x + at_c == 2, m
    else:
        assert m.status == 503 and (at_x, at_c) == (1, 0), m
        assert "connection_terminated" in m.get("Proxy-Status")


SAID = {  # what comes of (GET, POST): its status, and the times that it came to c
    "503-not-processed": (said(own(503, "not-processed")), (200, 1), (200, 1)),
    "421-not-processed": (said(own(421, "not-processed")), (200, 1), (200, 1)),
    "503-unknown": (said(own(503, "unknown")), (200, 1), (503, 0)),
    "503-stale": (said(own(503, "stale")), (200, 1), (503, 0)),
    "503-future": (said(own(503, "NOT-PROCESSED")), (200, 1), (503, 0)),
    "503-empty": (said(own(503, "")), (503, 0), (503, 0)),
    "502-processed": (said(own(502, "processed")), (502, 0), (502, 0)),
    "200-not-processed": (said(own(200, "not-processed")), (200, 0), (200, 0)),
    "404-not-processed": (said(own(404, "not-processed")), (404, 0), (404, 0)),
    "429-not-processed": (said(own(429, "not-processed")), (429, 0), (429, 0)),
    "interim": (said(b"HTTP/1.1 103 E\r\ngossamer-outcome: not-processed\r\n\r\n"
                     b"HTTP/1.1 503 S\r\nContent-Length: 0\r\n\r\n"), (503, 0), (503, 0)),
    "interim-reset": (said(b"HTTP/1.1 103 E\r\ngossamer-outcome: not-processed\r\n\r\n",
                           reset(REFUSED)), (503, 0), (503, 0)),
    "interim-refused": (said(b"HTTP/1.1 103 E\r\n\r\n" + own(503, "not-processed")),
                        (503, 0), (503, 0)),
    "trailers": (said(b"HTTP/1.1 503 S\r\nTransfer-Encoding: chunked\r\nTrailer: gossamer-outcome"
                      b"\r\n\r\n0\r\ngossamer-outcome: not-processed\r\n\r\n"), (503, 0), (503, 0)),
    "half-a-head": (said(b"HTTP/1.1 503 S\r\ngossamer-outcome: not-processed\r\n", end),
                    (503, 0), (503, 0)),
}


@pytest.mark.parametrize("method", ("GET", "POST"))
@pytest.mark.parametrize("how", SAID)
def test_what_a_node_says_became_of_it(place, how, method):
    fail, get, post = SAID[how]
    place.script(fail)
    m, at_x, at_c = place.ask(method)
    assert (m.status, at_x, at_c) == ((get if method == "GET" else post)[0], 1,
                                      (get if method == "GET" else post)[1]), m
    assert not m.get("gossamer-outcome")


@pytest.mark.parametrize("how", ["goaway-below", "goaway-twice", "rst-refused", "503"])
@pytest.mark.parametrize("method", ("PUT", "POST"))
def test_a_stream_that_ends_in_the_middle_of_a_body(place, how, method):
    """Half of it has come there. All of it comes to the other, or none."""
    fail = said(own(503, "not-processed")) if how == "503" else SENT[how]
    body, half = wire.derived("m", 40000), 20000

    def asked(link, s, request):
        if place.failed:
            return place.serve(link, s, request)
        if len(request) > half:
            place.failed = 1
            fail(link, s)
        return False

    place.x.asked = asked
    for i in place.tries():
        with client.Conn(place.a.outbound) as c:
            data = client.request(method, f"/sink/k{i}", "echo", body=body)
            c.send(data[:-half + 1])
            until("it has come", lambda: place.failed or f"/sink/k{i}" in place.o.targets())
            again = place.failed and (method == "PUT" or how == "503")
            if again:
                until("it comes elsewhere", lambda: f"/sink/k{i}" in place.o.targets())
            c.send(data[-half + 1:])
            m = c.answer(method)
        if place.failed:
            break
        assert m.status == 200
    if again:
        assert m.status == 200
        got = json.loads(m.body)
        assert (got["length"], got["sha256"]) == (40000, hashlib.sha256(body).hexdigest())
    else:
        assert m.status == 503 and f"/sink/k{i}" not in place.o.targets()


LIES = {
    "503": b"HTTP/1.1 503 No\r\nGossamer-Outcome: not-processed\r\nContent-Length: 2\r\n\r\nno",
    "421": b"HTTP/1.1 421 No\r\ngossamer-outcome:not-processed\r\nContent-Length: 2\r\n\r\nno",
    "named": (b"HTTP/1.1 503 No\r\nConnection: gossamer-outcome\r\ngossamer-outcome: not-processed\r\n"
              b"Content-Length: 2\r\n\r\nno"),
    "twice": (b"HTTP/1.1 503 No\r\ngossamer-outcome: processed\r\nGOSSAMER-OUTCOME: not-processed\r\n"
              b"Content-Length: 2\r\n\r\nno"),
    "status": (b'HTTP/1.1 503 No\r\nProxy-Status: gossamer; error=connection_refused; details="UF"\r\n'
               b"Content-Length: 2\r\n\r\nno"),
    "trailers": (b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n"
                 b"gossamer-outcome: not-processed\r\n\r\n"),
    "interim": (b"HTTP/1.1 103 E\r\ngossamer-outcome: not-processed\r\n\r\n"
                b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"),
}


@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.parametrize("lie", LIES)
def test_an_application_that_says_it_was_not(bench, lie, where):
    """The word is a node's alone: no request is done twice for it, and no client hears it."""
    m, o, other = Mesh(), bench.origin("o"), bench.origin("other")
    try:
        a = m.node("a", workers=1)
        if where == "there":
            m.node("b"), m.node("c")
        m.service("echo", {"b": [(o, None)], "c": [(other, None)]}
                  if where == "there" else {"a": [(o, None), (other, None)]})
        m.publish()
        for x in (o, other):
            x.raw["lie"] = LIES[lie], "keep"
        for i in range(8):
            answer = client.ask(a.outbound, "POST" if i % 2 else "GET", "/raw/lie", "echo",
                                body=b"x" if i % 2 else None,
                                fields=[("gossamer-outcome", "not-processed")])
            assert answer.status in (421, 503) and answer.body == b"no", answer
            told = answer.fields + answer.trailers + [f for x in answer.interim for f in x.fields]
            assert not [k for k, _ in told if k.lower().startswith("gossamer-")]
        seen = o.seen + other.seen
        assert len(seen) == 8
        assert not [k for r in seen for k, _ in r.fields if k.lower().startswith("gossamer-")]
        assert sum(a.stat()["retries"].values()) == 0
    finally:
        m.stop()


@pytest.mark.parametrize("method", ("GET", "POST"))
def test_a_connection_that_cannot_even_be_begun(bench, method):
    """The address of one owner is not known: the other's instance answers."""
    m, o = Mesh(), bench.origin("o")
    try:
        a = m.node("a", workers=1)
        c = m.node("c", workers=1)
        m.service("echo", {"c": [(o, None)]})
        m.publish()
        for line in ("service default echo 80", f"endpoint {HOST}:9 nobody -",
                     f"endpoint {HOST}:{o.port} c - {HOST}:{c.inbound[1]}", "publish"):
            a.tell(line)
        body = b"hello" if method == "POST" else None
        for i in range(20):
            answer = client.ask(a.outbound, method, f"/id/k{i}", "echo", body=body)
            assert (answer.status, o.targets()) == (200, [f"/id/k{k}" for k in range(i + 1)]), answer
        assert a.stat()["retries"]["connect"] > 0
        for line in ("service default echo 80", f"endpoint {HOST}:9 nobody -", "publish"):
            a.tell(line)
        answer = client.ask(a.outbound, method, "/id/x", "echo", body=body)
        assert answer.status == 503 and "retries" not in answer.get("Proxy-Status"), answer
    finally:
        m.stop()

"""Retries at the edges: interim answers, requests that end in a special way, clients that leave and
nodes that stop or reload in the middle of one. Applications are lib/faults.py's, and one that is
told what to do connection by connection."""
import json
import signal

import pytest

from lib import client, wire
from lib.node import instance, service
from lib.policy import documents
from lib.settings import until
from test_retry import SLOW_CHECK, no_ejection

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Pair:
    """A node with instances a and b of `tools`. `first` is what the first of them does that gets a
    request of an ID (coroutine with (connection, request)); then `good`."""

    def __init__(self, bench, **kw):
        self.a, self.b = bench.origin("a", hashing=True), bench.origin("b", hashing=True)
        self.seen, self.first, self.good = [], None, self.answer
        for o in (self.a, self.b):
            o.scripts["e"] = self._serve
        self.n = bench.node([service("tools", [instance(o, health=SLOW_CHECK)
                                               for o in (self.a, self.b)])], workers=1, **kw)
        assert self.n.admin_request("POST", "/api/v1/apply", documents(no_ejection()))[0] == 200

    async def _serve(self, c, req, seg, q):
        self.seen.append((c.origin.name, req))
        how = self.first if len(self.seen) == 1 else self.good
        return await how(c, req)

    @staticmethod
    async def answer(c, req):
        if not await c.body():
            return False
        await c.answer(200, json.dumps({"length": req.length}).encode())
        return True

    def names(self):
        return [name for name, _ in self.seen]

    def figure(self, name):
        return self.n.metrics()[name][0].value

    def idle(self):
        until("nothing is under way", lambda: self.figure("gossamer_exchanges_open") == 0)


async def leave(c, req):
    c.reset()
    return False


async def go_on(c, req):
    await c.send(CONTINUE)
    return await Pair.answer(c, req)


async def go_on_and_leave(c, req):
    await c.send(CONTINUE)
    if await c.body():
        c.reset()
    return False


def expecting(method, body, chunked=False):
    f = [("Host", "tools"), ("Expect", "100-continue")]
    f.append(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", len(body)))
    return wire.head(f"{method} /e HTTP/1.1", f)


def read_continue(c):
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = c.recv()
        assert more, data
        data += more
    return data


@pytest.mark.parametrize("method", ("PUT", "POST"))
def test_continue_after_a_refused_connection(bench, method):
    p = Pair(bench)
    p.first = p.good = go_on
    p.a.refuse()
    for _ in range(6):
        with client.Conn(p.n.outbound) as c:
            c.send(expecting(method, b"hello"))
            assert read_continue(c).startswith(b"HTTP/1.1 100 ")
            c.send(b"hello")
            m = c.answer(method)
        assert m.status == 200 and json.loads(m.body) == {"length": 5}
    assert set(p.names()) == {"b"} and len(p.seen) == 6


@pytest.mark.parametrize("method,again", [("PUT", True), ("POST", False)])
@pytest.mark.parametrize("chunked", [False, True])
def test_reset_instead_of_continue(bench, method, again, chunked):
    """No byte of the body has come yet; the other one gets it."""
    p = Pair(bench)
    p.first, p.good = leave, go_on
    with client.Conn(p.n.outbound) as c:
        c.send(expecting(method, b"hello", chunked))
        if again:
            assert read_continue(c).startswith(b"HTTP/1.1 100 ")
            c.send(wire.chunks(b"hello") if chunked else b"hello")
        m = c.answer(method)
    assert m.status == (200 if again else 503), m
    assert len(p.seen) == 1 + again
    p.idle()


@pytest.mark.parametrize("method", ("PUT", "POST"))
def test_reset_after_continue(bench, method):
    """The client has been told something: there is no second answer to it."""
    p = Pair(bench)
    p.first = go_on_and_leave
    with client.Conn(p.n.outbound) as c:
        c.send(expecting(method, b"hello"))
        assert read_continue(c).startswith(b"HTTP/1.1 100 ")
        c.send(b"hello")
        m = c.answer(method)
    assert m.status == 503 and len(p.seen) == 1
    p.idle()


@pytest.mark.parametrize("status", [200, 204, 304])
@pytest.mark.parametrize("method", ("GET", "HEAD"))
def test_answers_without_a_body_after_a_retry(bench, method, status):
    p = Pair(bench)

    async def bare(c, req):
        f = [("Content-Length", 7)] if status != 204 else []
        body = b"7 bytes" if status == 200 and method == "GET" else b""
        await c.send(wire.head(f"HTTP/1.1 {status} S", f) + body)
        return True

    p.first, p.good = leave, bare
    with client.Conn(p.n.outbound) as c:
        for i in range(3):  # the connection goes on
            c.send(client.request(method, "/e", "tools"))
            m = c.answer(method)
            assert m.status == status and m.body == (b"7 bytes" if method == "GET" and status == 200
                                                    else b"")
    assert len(p.seen) == 4 and len(set(p.names()[:2])) == 2
    p.idle()


@pytest.mark.parametrize("how", ["refused", "reset"])
def test_upgrade_asked_of_one_that_is_gone(bench, how):
    p = Pair(bench)
    p.first = leave if how == "reset" else p.answer
    if how == "refused":
        p.a.refuse()
    for _ in range(4):
        m = client.ask(p.n.outbound, "GET", "/e", "tools",
                       fields=[("Connection", "Upgrade"), ("Upgrade", "websocket")])
        assert m.status == 200, m
    assert not [r for _, r in p.seen if r.get("Upgrade")]
    p.idle()


@pytest.mark.parametrize("length", [65535, 65536, 65537])
@pytest.mark.parametrize("pieces", ["one", "many"])
def test_trailers_are_sent_again(bench, length, pieces):
    """A reset once all has come; in chunks of one write and of many."""
    p = Pair(bench)

    async def read_and_leave(c, req):
        await c.body()
        c.reset()
        return False

    p.first = read_and_leave
    body = wire.derived("t", length)
    data = wire.head("PUT /e HTTP/1.1", [("Host", "tools"), ("Transfer-Encoding", "chunked"),
                                         ("Trailer", "X-Sum, Gossamer-Outcome")])
    data += wire.chunks(body, 1000, [("X-Sum", "1"), ("gossamer-outcome", "not-processed")])
    with client.Conn(p.n.outbound) as c:
        c.send(data, range(5000, len(data), 5000) if pieces == "many" else ())
        m = c.answer("PUT")
    again = length <= 65536
    assert m.status == (200 if again else 503), m
    assert len(p.seen) == 1 + again
    for _, r in p.seen:
        assert (r.length, r.sha.digest(), r.trailers) == (length, p.seen[0][1].sha.digest(),
                                                          [("X-Sum", "1")])
    p.idle()


class Held(Pair):
    """The first resets; the second waits for the gate: a request that is in the middle of a retry."""

    def __init__(self, bench, **kw):
        super().__init__(bench, **kw)

        async def hold(c, req):
            await c.body()
            await c.origin.gates["g"].wait()
            return await self.answer(c, req)

        self.first, self.good = leave, hold

    def begin(self, c, body=b"x" * 1000):
        c.send(client.request("PUT", "/e", "tools", body=body))
        until("the second one has it", lambda: len(self.seen) == 2)

    def open(self):
        for o in (self.a, self.b):
            o.open_gate("g")


@pytest.mark.parametrize("how", ["close", "abort", "half_close"])
def test_a_client_that_leaves_in_the_middle_of_a_retry(bench, how):
    p = Held(bench)
    with client.Conn(p.n.outbound) as c:
        p.begin(c)
        getattr(c, how)()
        p.idle()
    p.open()
    assert len(p.seen) == 2
    assert client.ask(p.n.outbound, "GET", "/e", "tools").status == 200


@pytest.mark.parametrize("body", ["whole", "half"])
def test_a_node_that_stops_in_the_middle_of_a_retry(bench, body):
    """SIGTERM: what is under way is served, and nothing keeps the node."""
    p = Held(bench)
    with client.Conn(p.n.outbound) as c:
        data = client.request("PUT", "/e", "tools", body=b"x" * 1000)
        c.send(data if body == "whole" else data[:-500])
        until("the second one has it", lambda: len(p.seen) == 2)
        p.n.term()
        until("it drains", lambda: not p.n.is_ready())
        if body == "half":
            c.send(data[-500:])
        p.open()
        m = c.answer("PUT")
    assert m.status == 200 and json.loads(m.body) == {"length": 1000}
    assert p.n.wait() == 0


@pytest.mark.parametrize("left", ["first", "second", "none"])
def test_a_reload_in_the_middle_of_a_retry(bench, left):
    """The file has only the instance that failed, only the one that is being asked, or neither."""
    p = Held(bench)
    with client.Conn(p.n.outbound) as c:
        p.begin(c)
        first, second = ({"a": p.a, "b": p.b}[k] for k in p.names())
        keep = {"first": [first], "second": [second], "none": []}[left]
        p.n.services = [service("tools", [instance(o, health=SLOW_CHECK) for o in keep])]
        if not keep:
            p.n.services = []
        p.n.write()
        p.n.proc.send_signal(signal.SIGHUP)
        until("it routes by it", lambda: [e["address"] for e in p.n.api("endpoints")[0]]
              == [f"127.0.0.1:{o.port}" for o in keep])
        p.open()
        m = c.answer("PUT")
    assert m.status == 200 and json.loads(m.body) == {"length": 1000}
    p.idle()

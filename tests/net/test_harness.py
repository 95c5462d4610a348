"""The harness itself, with no proxy in between: what judges gossamer must be right first.

    client.Conn ─▶ Origin        lib/wire.py reads both directions
"""
import asyncio
import contextlib
import hashlib
import json
import pathlib
import os
import re
import signal
import time
import types

import pytest

from lib import client, lateness, metrics, wire
from lib.crossed import Run, Mixture
from lib.node import yaml
from lib.offered import Offered
from lib.origin import Origin, pattern_sha
from lib.policy import get, stale
from lib.settings import SEED, until


@pytest.fixture
def origin():
    o = Origin(hashing=True).start()
    yield o
    o.stop()
    assert not o.violations, o.violations


def test_every_behaviour_answers(origin):
    ask = lambda t, **kw: client.ask(origin.addr, target=t, **kw)
    assert json.loads(ask("/echo", method="POST", body=b"hello").body)["body"] == "hello"
    assert json.loads(ask("/sink", method="POST", body=b"x" * 5000,
                          chunked=True).body)["length"] == 5000
    for t in ("/bytes/200000", "/chunked/200000?trailers=1", "/chunked/200000?size=777",
              "/http10/70000", "/http10-open/70000", "/until-close/70000"):
        m = ask(t)
        n = int("".join(c for c in t.partition("?")[0].replace("http10", "") if c.isdigit()))
        assert m.complete and m.length == n and hashlib.sha256(
            m.body).hexdigest() == pattern_sha(n), t
    assert dict(ask("/chunked/10?trailers=1").trailers)["X-Length"] == "10"
    assert [i.status for i in ask("/interim?codes=103,102").interim] == [103, 102]
    assert ask("/status/204").framing == "none" and ask("/bytes/9",
                                                        method="HEAD").get("Content-Length") == "9"
    assert ask("/slow/20").length == 20 and ask("/hop").body == b"hop" and ask(
        "/nothing").body == b"o\n"
    assert ask("/sse?n=3&gap_ms=1").body.count(b"data: ") == 3
    assert len(origin.seen) == 16


@pytest.mark.parametrize("how", ["zero", "head", "length", "chunked"])
def test_a_cut_is_seen(origin, how):
    for reset in ("", "?reset=1"):
        with pytest.raises((client.Cut, wire.Bad)):
            client.ask(origin.addr, target=f"/cut/{how}{reset}")
    with pytest.raises(client.Cut):
        client.ask(origin.addr, target="/until-reset/3000")


def test_early_answers_and_gates(origin):
    with client.Conn(origin.addr) as c:
        c.send(
            wire.head("POST /early/keep HTTP/1.1", [("Host", "echo"), ("Content-Length", 10)]) +
            b"12345")
        assert c.answer().body == b"early" and c.quiet()
        c.send(b"67890" + client.request(target="/id/next"))
        assert c.answer().body == b"next\n"
        c.send(client.request(target="/half/g"))
        assert c.head().status == 200
        origin.open_gate("g")
        assert c.answer().length == 2000
        c.send(client.request("POST", "/early/close", body=b"x" * 100))
        assert c.answer().get("Connection") == "close"
        assert c.until_closed() == b""


def test_a_split_is_two_reads(origin):
    """send(at=) puts the pieces into different reads of the peer: with every byte apart an origin
    that notes what each read returned sees single bytes."""
    data = client.request(target="/id/split")
    with client.Conn(origin.addr) as c:
        c.send(data, at=range(len(data)))
        assert c.answer().body == b"split\n"
        assert client.unread(c.peer, c.me) == 0


def test_origin_can_refuse_and_resume(origin):
    assert client.ask(origin.addr).status == 200
    origin.refuse()
    with pytest.raises(ConnectionRefusedError):
        client.ask(origin.addr)
    origin.resume()
    assert client.ask(origin.addr).status == 200
    with client.Conn(origin.addr) as c:
        c.send(client.request(target="/hang"))
        until("the request came", lambda: origin.targets()[-1] == "/hang")
    until("the origin sees the close", lambda: not origin.open_conns())


BAD_ANSWERS = [
    b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    b"HTTP/1.1 204 N\r\nContent-Length: 1\r\n\r\n",
    b"HTTP/1.1 103 N\r\nContent-Length: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
    b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("data", BAD_ANSWERS)
def test_the_reader_is_strict(data):
    for step in (len(data), 1):
        with pytest.raises(wire.Bad):
            r = wire.Reader(answers=True)
            for i in range(0, len(data), step):
                r.feed(data[i:i + step])


def test_the_reader_does_not_mind_splits():
    data = (b"HTTP/1.1 103 E\r\nA: b\r\n\r\n" +
            wire.head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")]) +
            wire.chunks(b"0123456789" * 5, 7, [("T", "1")]) +
            wire.head("HTTP/1.1 200 OK", [("Content-Length", 3)]) + b"abc" +
            b"HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n" +
            b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
    for k in range(len(data)):
        r = wire.Reader(answers=True)
        got = []
        for piece in (data[:k], data[k:]):
            r.feed(piece)
            while r.finished:
                got.append((bytes(r.msg.body), r.msg.trailers, len(r.msg.interim)))
                r.next()
        assert r.eof()
        got.append((bytes(r.msg.body), r.msg.trailers, 0))
        assert got == [(b"0123456789" * 5, [("T", "1")], 1), (b"abc", [], 0), (b"", [], 0),
                       (b"until the end", [], 0)], k


def test_metrics_reader():
    good = ('# HELP a_total x\n# TYPE a_total counter\na_total{k="v\\"w"} 3\na_total{k="z"} 4\n'
            '# HELP g x\n# TYPE g gauge\ng -1.5\n')
    m = metrics.parse(good)
    assert metrics.total(m["a_total"]) == 7 and metrics.total(m["a_total"], k="z") == 4
    for bad in (good + 'a_total{k="z"} 5\n', good + "g -1.5\n", good[:-1],
                good.replace("# HELP g x\n", ""), good.replace(" 3", " -3"), good + "what ever\n"):
        with pytest.raises(ValueError):
            metrics.parse(bad)
    hist = ('# HELP h x\n# TYPE h histogram\n'
            'h_bucket{le="1"} %d\nh_bucket{le="+Inf"} 5\nh_sum 9\nh_count %d\n')
    assert metrics.parse(hist % (2, 5))
    for bad in (hist % (6, 5), hist % (2, 4)):
        with pytest.raises(ValueError):
            metrics.parse(bad)


def test_proxy_status():
    m = wire.Message()
    m.fields = [("Proxy-Status", 'gossamer; error=connection_refused; details="a; b=c"')]
    assert wire.proxy_status(m) == {
        "by": "gossamer", "error": "connection_refused", "details": "a; b=c"
    }


def test_yaml():
    assert yaml({
        "a": 1, "b": {"c": "x y", "d": []}, "e": [{"f": "127.0.0.1:80", "g": {"h": "off"}}, "k"]
    }) == ('a: 1\nb:\n  c: "x y"\n  d: []\ne:\n  - f: 127.0.0.1:80\n    g:\n      h: off\n  - k\n')


@pytest.mark.parametrize("lie", [None, "head", "body", "short", "late"])
def test_crossed_finds_what_it_looks_for(lie):
    """The mixture of test_crossed, straight at its origins: no finding. Then one answer in fifty
    bears another id, another body, too short a body, or one that only looks whole."""
    mix = Mixture(lie)
    origins = [Origin(f"o{i}", strict=False).start() for i in range(3)]
    for o in origins:
        mix.install(o)
    run = Run(mix, {"a": origins[0].addr, "g": origins[1].addr},
              600 if lie is None else 400,
              SEED,
              direct=True)
    asyncio.run(run.go())
    for o in origins:
        o.stop()
    print(run.report())
    if lie is None:
        assert not run.findings() and not [v for o in origins for v in o.violations], run.findings()
        assert run.offered == 600 and run.completed > 300
    else:
        assert run.crossed or run.truncated, run.report()


def nodes_at(*origins):
    return [types.SimpleNamespace(outbound=o.addr, inside=contextlib.nullcontext) for o in origins]


def test_offered_keeps_its_rate_and_its_books(origin):
    """Whatever becomes of a request, it is in the books once, with its reason."""
    paths = ("/id/1", "/status/503", "/cut/length", "/hang")
    requests = [get(p, "h") for p in paths]
    with Offered(nodes_at(origin, origin), 400, lambda i: (i % 2, paths[i % 4], requests[i % 4]),
                 limit=0.3) as load:
        load.wait(200)
    assert load.offered_enough() and load.sent == len(load.answers) >= 200
    assert sorted(a.number for a in load.answers) == list(range(load.sent))
    assert load.books("/id/1")[0].endswith(f"completed {len(load.of('/id/1'))}, failed 0")
    assert {a.status for a in load.of("/status/503")} == {503}
    assert all(a.status == 0 and a.head for a in load.of("/cut/length"))
    said, bad = load.books("/hang")
    assert set(bad) == {(0, "no answer within the client's limit")}, said
    assert all(a.ended - a.began >= 0.3 for a in load.of("/hang"))


def test_offered_says_when_it_was_too_slow(origin):

    def request(i, r=get("/id/1", "h")):
        time.sleep(0.01)  # at most a hundred a second, on any machine
        return 0, "GET", r

    with Offered(nodes_at(origin), 5000, request) as load:
        load.wait(50)
    with pytest.raises(AssertionError, match="requests a second were made"):
        load.offered_enough()


def test_offered_counts_who_is_not_there(origin):
    with Offered(nodes_at(origin, types.SimpleNamespace(addr=("127.0.0.1", 1))), 200,
                 lambda i, r=get("/id/1", "h"): (i % 2, "GET", r)) as load:
        load.wait(40)
    assert {(a.node, a.status) for a in load.answers} == {(0, 200), (1, 0)}
    assert load.books()[1][0, "refused"] == sum(a.node for a in load.answers)


def test_stale_finds_what_was_answered_by_a_former_rule():

    def answer(body, began, ended):
        return types.SimpleNamespace(body=body, began=began, ended=ended)

    changes = [(0, 1), (2, 3), (4, 5)]
    body_of = ("a", "b", "c").__getitem__
    right = [answer("a", 1.1, 1.2), answer("a", 1.9, 2.1), answer("b", 1.9, 2.1), answer("b", 2.5, 2.6),
             answer("a", 2.9, 3.5), answer("b", 3.1, 3.2), answer("a", 2.9, 4.5), answer("c", 2.9, 4.5),
             answer("c", 6, 7)]
    wrong = [answer("b", 1.1, 1.2), answer("a", 3.1, 3.2), answer("b", 5.1, 5.2), answer("a", 3.1, 4.5)]
    found, sure = stale(right + wrong, changes, body_of)
    assert [f[0] for f in found] == wrong
    assert sure == 6


# ---- the suite ----


def test_every_file_is_in_a_group():
    """What tests/meson.build does not name would never run."""
    here = pathlib.Path(__file__).parent
    text = (here.parent / "meson.build").read_text()
    groups = re.search(r"^net_groups = \{(.*?)^\}", text, re.M | re.S)[1]
    named = re.findall(r"'(\w+)'(?=,|\])", groups)
    assert sorted(named) == sorted(p.stem.removeprefix("test_") for p in here.glob("test_*.py"))


def test_what_the_machine_kept_from_us_is_known():
    """Nothing on a quiet one but for little; what the watcher missed where it could not run."""
    since = time.monotonic()
    os.kill(lateness.watchers[-1].pid, signal.SIGSTOP)
    try:
        until("it stood still", lambda: time.monotonic() - since > 0.4)
    finally:
        os.kill(lateness.watchers[-1].pid, signal.SIGCONT)
    stopped = time.monotonic() - since
    assert until("it is noted", lambda: lateness.late(since)) >= stopped - 0.05
    assert lateness.late(since, since + 0.1) < stopped - 0.05, "it was not over yet"
    assert lateness.late(time.monotonic() + 1) == 0

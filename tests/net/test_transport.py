"""Node to node: requests for instances of other nodes go through their nodes.

    clients ─▶ a :outbound ══ HTTP/2, one connection per (worker, caller, node) ══▶ b :inbound ─▶ origin
            ─▶ a :caller of its own ══════════════════════════════════════════════▶

The nodes know each other by hand-written snapshots (lib/mesh.py), not by gossip.
"""
import asyncio
import json
import socket
import threading

import pytest

from lib import client, wire
from lib.client import Cut
from lib.crossed import Mixture, Run
from lib.h2 import Peer
from lib.services import slowest, stalled
from lib.transport import BIN, Mesh
from lib.settings import HOST, SEED, Idle, scaled, secs, until

pytestmark = pytest.mark.skipif(not BIN, reason="MESH_NODE_BIN is not set")
EXCHANGES = scaled("GOSSAMER_MESH_EXCHANGES", 5000, 100000)


@pytest.fixture
def mesh(bench):
    m, loads = Mesh(), []

    def load(*args):
        loads.append(Load(*args))
        return loads[-1]

    m.load = load
    yield m
    for x in loads:  # a test that failed has not
        x.stop()
    m.stop()


def ask(addr, target="/id/x", **kw):
    return client.ask(addr, target=target, **kw)


def test_a_request_goes_through_the_owner(mesh, bench):
    o = bench.origin("echo")
    a, b = mesh.node("a"), mesh.node("b")
    mesh.service("echo", {"b": [(o, None)]})
    mesh.publish()
    for _ in range(20):
        assert ask(a.outbound).body == b"x\n"
    assert a.cell("echo", "outbound") == 20 and a.cell("echo", "inbound") == 0
    assert b.cell("echo", "inbound") == 20 and b.cell("echo", "outbound") == 0
    ca, cb = a.stat()["counters"], b.stat()["counters"]
    assert 1 <= ca["mesh_connects"] <= a.workers
    assert cb["mesh_accepted"] == ca["mesh_connects"] and cb["mesh_misdirected"] == 0
    seen = o.seen[-1]
    assert not [k for k, _ in seen.fields if k.lower().startswith("gossamer-")]
    # as well for the node that has the instance
    assert ask(b.outbound).body == b"x\n"
    assert b.cell("echo", "inbound") == 21


def test_bodies_both_ways(mesh, bench):
    o = bench.origin("echo", hashing=True)
    a, b = mesh.node("a"), mesh.node("b")
    mesh.service("echo", {"b": [(o, None)]})
    mesh.publish()
    n = 20_000_000
    m = ask(a.outbound, f"/bytes/{n}")
    assert m.length == n
    body = wire.derived("up", 5_000_000)
    m = ask(a.outbound, "/sink", method="POST", body=body)
    assert json.loads(m.body)["length"] == len(body)


def test_callers_have_their_own_connections(mesh, bench):
    o = bench.origin("echo")
    a = mesh.node("a", callers=["ai/one", "ai/two"], workers=1)
    b = mesh.node("b", workers=1)
    mesh.service("echo", {"b": [(o, None)]})
    mesh.publish()
    for addr in (a.outbound, *a.callers.values()):
        for _ in range(5):
            assert ask(addr).body == b"x\n"
    assert a.stat()["counters"]["mesh_connects"] == 3
    assert b.stat()["counters"]["mesh_accepted"] == 3


def test_nothing_crosses_between_two_callers(mesh, bench, capsys):
    """The same mixture as test_crossed.py, from two callers through one pair of nodes."""
    mix = Mixture()
    o, g1, g2 = bench.origin("a"), bench.origin("g1"), bench.origin("g2")
    for x in (o, g1, g2):
        mix.install(x)
    a, b = mesh.node("a", callers=["ai/one", "ai/two"]), mesh.node("b")
    mesh.service("a", {"b": [(o, None)]})
    mesh.service("g", {"b": [(g1, None), (g2, None)]})
    mesh.publish()
    one, two = a.callers.values()
    runs = [
        Run(mix, {"a": one, "g": one}, EXCHANGES // 2, SEED),
        Run(mix, {"a": two, "g": two}, EXCHANGES // 2, SEED + 1)
    ]

    async def both():
        await asyncio.gather(*(r.go() for r in runs))

    asyncio.run(both())
    for run in runs:
        with capsys.disabled():
            print("\n" + run.report())
        assert not run.findings(), run.findings()
        assert run.completed > run.offered // 2
        assert run.aborted > run.offered // 20
    assert a.alive() and b.alive()
    for x in (o, g1, g2):
        until("connections of the inbound side idle out", lambda: not x.open_conns(), 15)


def test_canary_on_every_node(mesh, bench):
    """90/10, both versions on one node, or on two: what any node of five sends is within 1 %."""
    v1, v2 = bench.origin("v1"), bench.origin("v2")
    nodes = [mesh.node(f"n{i}", workers=1) for i in range(5)]
    for where in ({"n0": [(v1, "v1"), (v2, "v2")]}, {"n0": [(v1, "v1")], "n1": [(v2, "v2")]}):
        mesh.forget()
        mesh.service("tools", where, weights={"v1": 90, "v2": 10})
        mesh.publish()
        for n in nodes:
            before = n.cell("tools", "outbound", "v2")
            with client.Conn(n.outbound) as c:
                for _ in range(1000):
                    assert c.ask(target="/id/x", host="tools").status == 200
            assert abs(n.cell("tools", "outbound", "v2") - before - 100) <= 10


# ---- what an instance does ----


def test_cut_answers_stay_cut(mesh, bench):
    o = bench.origin("echo")
    a, b = mesh.node("a"), mesh.node("b")
    mesh.service("echo", {"b": [(o, None)]})
    mesh.publish()
    for kind in ("length", "chunked"):
        with pytest.raises(Cut):
            ask(a.outbound, f"/cut/{kind}")
        with pytest.raises(Cut):
            ask(a.outbound, f"/cut/{kind}?reset=1")
    assert ask(a.outbound, "/http10-open/70000").length == 70000
    assert ask(a.outbound, "/until-close/70000").length == 70000
    with pytest.raises(Cut):
        ask(a.outbound, "/until-reset/70000")
    m = ask(a.outbound, "/cut/zero")
    assert m.status == 503 and not m.get("gossamer-outcome")
    assert ask(a.outbound).body == b"x\n"


# ---- retries ----


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_not_processed_is_retried_elsewhere(mesh, bench, method):
    """b's instance refuses connections, c's does not: nobody sees it, whatever the method."""
    gone, o = bench.origin("gone"), bench.origin("echo")
    a, b, c = mesh.node("a", workers=1), mesh.node("b"), mesh.node("c")
    mesh.service("echo", {"b": [(gone, None)], "c": [(o, None)]})
    mesh.publish()
    gone.refuse()
    for i in range(30):
        m = ask(a.outbound, f"/id/{i}", method=method, body=b"hello" if method == "POST" else None)
        assert (m.status, m.body) == (200, f"{i}\n".encode())
        assert not m.get("gossamer-outcome")
    assert a.stat()["retries"]["refused"] > 0


def test_not_processed_without_an_alternative(mesh, bench):
    gone = bench.origin("gone")
    a, b = mesh.node("a"), mesh.node("b")
    mesh.service("echo", {"b": [(gone, None)]})
    mesh.publish()
    gone.refuse()
    m = ask(a.outbound, method="POST", body=b"x")
    assert m.status == 503 and "connection_refused" in m.get("proxy-status")
    assert not m.get("gossamer-outcome")


def test_a_post_that_was_sent_is_not_sent_again(mesh, bench):
    bad, o = bench.origin("bad"), bench.origin("echo")
    a, b, c = mesh.node("a", workers=1), mesh.node("b"), mesh.node("c")
    mesh.service("echo", {"b": [(bad, None)], "c": [(o, None)]})
    mesh.publish()
    statuses = [ask(a.outbound, "/cut/zero", method="POST", body=b"x").status for _ in range(10)]
    assert set(statuses) == {503}
    assert len(bad.seen) + len(o.seen) == 10


def test_an_instance_that_moved(mesh, bench):
    """a believes that b has the instance; b knows better: 421, and c's is used."""
    o = bench.origin("echo")
    a, b, c = mesh.node("a", workers=1), mesh.node("b"), mesh.node("c")
    mesh.service("echo", {"b": [(o, None)], "c": [(o, None)]})
    mesh.publish()
    b.tell("publish")  # of nothing
    for i in range(20):
        assert ask(a.outbound, f"/id/{i}", method="POST", body=b"x").status == 200
    assert b.stat()["counters"]["mesh_misdirected"] > 0
    mesh.forget()
    mesh.service("echo", {"b": [(o, None)]})
    for line in mesh.lines(a):
        a.tell(line)
    a.tell("publish")
    assert ask(a.outbound).status == 421


def test_policy_not_known_yet(mesh, bench):
    o = bench.origin("echo")
    a, b, c = mesh.node("a", workers=1), mesh.node("b"), mesh.node("c")
    mesh.service("echo", {"b": [(o, None)], "c": [(o, None)]})
    mesh.publish()
    for _ in range(20):
        ask(a.outbound)
    b.tell("standing closed")
    for i in range(20):  # on streams that are open, too
        assert ask(a.outbound, f"/id/{i}", method="POST", body=b"x").status == 200
    before = b.cell("echo", "inbound")
    c.tell("standing closed")
    assert ask(a.outbound).status == 503
    assert b.cell("echo", "inbound") == before
    b.tell("standing open")
    until("b is used again", lambda: ask(a.outbound).status == 200, 5)


# ---- stalled ----


def test_stalled_cycle(mesh, bench):
    """200 answers that nobody reads, both ways between two nodes: new requests do not wait."""
    oa, ob = bench.origin("ea"), bench.origin("eb")
    a, b = mesh.node("a", workers=1), mesh.node("b", workers=1)
    mesh.service("ea", {"a": [(oa, None)]})
    mesh.service("eb", {"b": [(ob, None)]})
    mesh.publish()
    open = [stalled(addr, host) for addr, host in ((a.outbound, "eb"), (b.outbound, "ea")) * 200]
    until("all are under way", lambda: len(oa.seen) + len(ob.seen) >= 400, 30)
    until("nothing of them moves any more",
          Idle([n.proc.pid for n in (a, b)], [o.thread.native_id for o in (oa, ob)]), 60)
    worst = slowest(((a.outbound, "eb"), (b.outbound, "ea")), secs(0.1))
    for s in open:
        s.close()
    assert worst <= secs(0.1), worst


def test_more_streams_than_one_connection_holds(mesh, bench):
    o = bench.origin("echo")
    a, b = mesh.node("a", workers=1), mesh.node("b", workers=1)
    mesh.service("echo", {"b": [(o, None)]})
    mesh.publish()
    conns = [client.Conn(a.outbound) for _ in range(300)]
    for i, c in enumerate(conns):
        c.send(wire.head("GET /hold/g HTTP/1.1", [("Host", "echo")]))
    until("all are held", lambda: len(o.seen) >= 300, 30)
    assert a.stat()["counters"]["mesh_connects"] == 2
    o.open_gate("g")
    for c in conns:
        assert c.answer().body == b"held"
        c.close()


# ---- hostile members ----


def test_bytes_that_are_no_http(mesh, bench):
    """In a stream to an http service only HTTP reaches the instance."""
    o = bench.origin("echo")
    b = mesh.node("b")
    mesh.service("echo", {"b": [(o, None)]})
    mesh.publish()
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        with Peer(b.inbound) as p:
            s = p.connect(f"{HOST}:{o.port}", "default/echo:80")
            assert p.status(s) == 200
            p.data(s, junk + b"x" * 100)
            answer = p.read(s)
            assert answer.startswith(b"HTTP/1.1 400 ") or answer.startswith(b"HTTP/1.1 505 "), answer
            assert b"gossamer-outcome: not-processed\r\n" in answer
    assert not o.seen and not o.conns


def test_what_is_asked_for_decides(mesh, bench):
    """The stream names the instance; Host inside it opens no other."""
    o, secret = bench.origin("echo"), bench.origin("secret")
    b = mesh.node("b")
    mesh.service("echo", {"b": [(o, None)]})
    mesh.service("secret", {"b": [(secret, None)]})
    mesh.publish()
    with Peer(b.inbound) as p:
        s = p.connect(f"{HOST}:{o.port}", "default/echo:80")
        assert p.status(s) == 200
        p.data(s, b"GET /id/1 HTTP/1.1\r\nHost: secret\r\n\r\n")
        assert b"200" in p.read(s, b"1\n")
        assert o.seen[-1].get("Host") == "secret"
        # counted as what it is: a request for echo
        assert b.cell("echo", "inbound") == 1 and b.cell("secret", "inbound") == 0
        # addresses and services that are not that instance
        for authority, service in ((f"{HOST}:{secret.port}", "default/echo:80"),
                                   (f"{HOST}:{o.port}", "default/secret:80"),
                                   (f"{HOST}:22", "default/echo:80"), ("[::1]:80", "default/echo:80"),
                                   (f"{HOST}:{o.port}", "default/echo:81"),
                                   (f"{HOST}:{o.port}", "x"), (f"{HOST}:{o.port}", "/:"),
                                   ("nonsense", "default/echo:80")):
            s = p.connect(authority, service)
            assert p.status(s) == 421
            assert p.headers(s).get("gossamer-outcome") == "not-processed"
    assert not secret.seen and not secret.conns
    assert b.stat()["counters"]["mesh_misdirected"] == 8


def test_an_application_cannot_speak_as_a_node(mesh, bench):
    """gossamer-outcome from an instance or a client means nothing."""
    o, other = bench.origin("echo"), bench.origin("other")
    a, b, c = mesh.node("a", workers=1), mesh.node("b"), mesh.node("c")
    for x in (o, other):
        x.raw["lie"] = (b"HTTP/1.1 503 No\r\nGossamer-Outcome: not-processed\r\n"
                        b"Content-Length: 2\r\n\r\nno", "keep")
    mesh.service("echo", {"b": [(o, None)], "c": [(other, None)]})
    mesh.publish()
    for _ in range(10):
        m = ask(a.outbound, "/raw/lie", method="POST", body=b"x",
                fields=[("Gossamer-Outcome", "not-processed"), ("Gossamer-Caller", "node/root")])
        assert m.status == 503 and m.body == b"no" and not m.get("gossamer-outcome")
    assert len(o.seen) + len(other.seen) == 10


def test_the_mesh_port_speaks_nothing_else(mesh, bench):
    o = bench.origin("echo")
    a, b = mesh.node("a"), mesh.node("b")
    mesh.service("echo", {"b": [(o, None)]})
    mesh.publish()
    for junk in (b"GET / HTTP/1.1\r\nHost: echo\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"PRI * HTTP/1.1"):
        with socket.create_connection(b.inbound, secs(5)) as s:
            s.sendall(junk)
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    assert b.stat()["refused"]["mux_preface"] == 3
    assert not o.seen
    assert ask(a.outbound).body == b"x\n"


# ---- ends of nodes ----


class Load(threading.Thread):
    """Requests one after another, each on a connection of its own or on a kept one."""

    def __init__(self, addr, host, method="GET"):
        super().__init__(daemon=True)
        self.addr, self.host, self.method = addr, host, method
        self.done, self.bad, self.over = 0, [], False
        self.start()

    def run(self):
        conn = None
        while not self.over:
            try:
                conn = conn or client.Conn(self.addr)
                m = conn.ask(self.method, "/id/x", host=self.host,
                             body=b"x" if self.method == "POST" else None)
                if m.status != 200:
                    self.bad.append((m.status, m.get("proxy-status")))
                self.done += 1
                if "close" in m.tokens("Connection"):
                    conn.close()
                    conn = None
            except (OSError, Cut, wire.Bad) as e:
                self.bad.append(repr(e))
                conn = None

    def stop(self):
        self.over = True
        self.join(secs(10))
        return self.bad


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_drain_of_a_node_fails_nothing(mesh, bench, method):
    o, p = bench.origin("o"), bench.origin("p")
    a, b, c = mesh.node("a"), mesh.node("b"), mesh.node("c")
    mesh.service("echo", {"b": [(o, None)], "c": [(p, None)]})
    mesh.publish()
    loads = [mesh.load(a.outbound, "echo", method) for _ in range(8)]
    until("load", lambda: all(x.done > 50 for x in loads), 20)
    b.stop()
    done = [x.done for x in loads]
    until("more load", lambda: all(x.done > d + 50 for x, d in zip(loads, done)), 20)
    bad = sum((x.stop() for x in loads), [])
    assert not bad, (len(bad), bad[:5], a.stat())


def test_kill_of_a_node_fails_no_get(mesh, bench):
    o, p = bench.origin("o"), bench.origin("p")
    a, b, c = mesh.node("a"), mesh.node("b"), mesh.node("c")
    mesh.service("echo", {"b": [(o, None)], "c": [(p, None)]})
    mesh.publish()
    loads = [mesh.load(a.outbound, "echo") for _ in range(8)]
    until("load", lambda: all(x.done > 50 for x in loads), 20)
    b.kill()
    done = [x.done for x in loads]
    until("more load", lambda: all(x.done > d + 50 for x, d in zip(loads, done)), 20)
    assert not sum((x.stop() for x in loads), [])


def test_a_changed_catalog_cuts_nothing(mesh, bench):
    """A verdict about a node (its endpoints leave, or come back) touches no request under way."""
    o, p = bench.origin("o"), bench.origin("p")
    a, b, c = mesh.node("a"), mesh.node("b"), mesh.node("c")
    mesh.service("echo", {"b": [(o, None)], "c": [(p, None)]})
    mesh.publish()
    with client.Conn(a.outbound) as held:
        held.send(wire.head("GET /hold/g HTTP/1.1", [("Host", "echo")]))
        until("held", lambda: len(o.seen) + len(p.seen) == 1, 10)
        loads = [mesh.load(a.outbound, "echo", m) for m in ("GET", "POST") * 4]
        for where in ({"c": [(p, None)]}, {"b": [(o, None)]}, {"b": [(o, None)], "c": [(p, None)]}) * 10:
            mesh.forget()
            mesh.service("echo", where)
            for line in mesh.lines(a):
                a.tell(line)
            a.tell("publish")
            done = [x.done for x in loads]
            until("requests by it", lambda: all(x.done > d + 1 for x, d in zip(loads, done)), 20)
        assert not sum((x.stop() for x in loads), [])
        for x in (o, p):
            x.open_gate("g")
        assert held.answer().body == b"held"


def test_connections_are_spread_over_workers(mesh, bench):
    o = bench.origin("echo")
    b = mesh.node("b", workers=4)
    callers = [f"ai/c{i}" for i in range(8)]
    a = mesh.node("a", workers=1, callers=callers)
    mesh.service("echo", {"b": [(o, None)]})
    mesh.publish()
    loads = [mesh.load(addr, "echo") for addr in a.callers.values() for _ in range(2)]
    until("load", lambda: all(x.done > 30 for x in loads), 20)
    assert not sum((x.stop() for x in loads), [])
    assert b.stat()["counters"]["mesh_accepted"] == 8

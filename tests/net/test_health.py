"""Health checks decide who is asked.

    client ─▶ gossamer ─▶ svc ─┬─▶ a   /healthz as the test says
                 │             └─▶ b
                 └── checks every 100 ms; GET /api/v1/endpoints shows the states
"""
import collections

from lib import wire
from lib.faults import Level
from lib.node import instance, service
from lib.settings import until

# One that answers is never late for it, however long the machine stands still.
CHECK = {"http": "/healthz", "interval": "100ms", "timeout": "30s", "rise": 2, "fall": 3}


def both(n, a, b):
    """Each is asked in the end; how often is the balancer's business."""
    level = Level([a, b])
    until("a and b are both asked", lambda: level() or set(who(n)) == {"a", "b"}, 20)


def who(n, times=40):
    out = collections.Counter()
    for _ in range(times):
        m = n.ask(target="/who", host="svc")
        out[m.get("X-Origin") or m.status] += 1
    return out


def test_an_instance_that_fails_its_check_gets_no_traffic_until_it_passes(bench):
    a, b = bench.origin("a"), bench.origin("b")
    b.healthy = False
    n = bench.node([
        service("svc",
                [instance(a, {"version": "v1"}, CHECK),
                 instance(b, {"version": "v2"}, CHECK)])
    ],
                   healthy=False)
    until("a is healthy", lambda: n.states("svc").get(f"127.0.0.1:{a.port}") == "healthy")
    until("b was checked", lambda: b.health_asked >= 3)
    assert n.states("svc").get(f"127.0.0.1:{b.port}") in (None, "pending", "unhealthy")
    assert who(n) == {"a": 40} and not b.seen
    b.healthy = True
    n.wait_states("svc", ["healthy", "healthy"])
    both(n, a, b)


def test_it_falls_out_after_fall_failures_and_comes_back(bench):
    a, b = bench.origin("a"), bench.origin("b")
    n = bench.node([service("svc", [a, b], health=CHECK)])
    both(n, a, b)
    b.healthy = False
    asked = b.health_asked
    until("b is unhealthy", lambda: n.states("svc")[f"127.0.0.1:{b.port}"] == "unhealthy")
    assert b.health_asked - asked >= 3, "it takes `fall` failures"
    seen = len(b.seen)
    assert who(n) == {"a": 40} and len(b.seen) == seen
    b.healthy = True
    asked = b.health_asked
    n.wait_states("svc", ["healthy", "healthy"])
    assert b.health_asked - asked >= 2, "it takes `rise` passes"
    both(n, a, b)


def test_a_check_that_hangs_or_talks_garbage_fails(bench):
    a, b, c = bench.origin("a"), bench.origin("b"), bench.origin("c")
    asked = collections.Counter()

    async def hang(conn, req, seg, q):
        asked["b"] += 1
        await conn.gone()
        return False

    async def garbage(conn, req, seg, q):
        asked["c"] += 1
        await conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
        return False

    b.scripts["check"], c.scripts["check"] = hang, garbage
    a.scripts["check"] = a.do_healthz
    check = {"http": "/check", "interval": "100ms", "timeout": "200ms", "rise": 1, "fall": 1}
    n = bench.node([service("svc", [a, b, c], health=check)], healthy=False)
    until("a is healthy", lambda: n.states("svc").get(f"127.0.0.1:{a.port}") == "healthy")
    until("the others were checked", lambda: asked["b"] >= 3 and asked["c"] >= 3)
    assert "healthy" not in [
        s for addr, s in n.states("svc").items() if addr != f"127.0.0.1:{a.port}"
    ]
    assert who(n) == {"a": 40}


def test_tcp_is_the_default_check(bench):
    """No bytes are sent by it, and an origin that stops listening falls out."""
    a, b = bench.origin("a"), bench.origin("b")
    n = bench.node([service("svc", [a, b])])
    until("checked by connecting", lambda: a.conns and b.conns)
    assert a.bytes_in == b.bytes_in == 0
    both(n, a, b)
    b.refuse()
    until("b is out", lambda: n.states("svc").get(f"127.0.0.1:{b.port}") != "healthy", 15)
    assert who(n) == {"a": 40}
    b.resume()
    n.wait_states("svc", ["healthy", "healthy"], 15)
    both(n, a, b)


def test_the_last_ones_are_used_rather_than_none(bench):
    """Every endpoint unhealthy by its check but alive: they are used (panic)."""
    a, b = bench.origin("a"), bench.origin("b")
    n = bench.node([service("svc", [a, b], health=CHECK)])
    a.healthy = b.healthy = False
    n.wait_states("svc", ["unhealthy", "unhealthy"])
    both(n, a, b)


def test_never_passed_is_never_used(bench):
    """Unlike the above: an endpoint is published after its first passed check."""
    a = bench.origin("a")
    a.healthy = False
    n = bench.node([service("svc", [a], health=CHECK)], healthy=False)
    until("it was checked", lambda: a.health_asked >= 5)
    m = n.ask(host="svc")
    assert m.status == 503 and wire.proxy_status(
        m)["error"] == "destination_unavailable" and not a.seen


def test_endpoints_list(bench):
    a, b = bench.origin("a"), bench.origin("b")
    n = bench.node([
        service("svc",
                [instance(a, {"version": "v1"}, CHECK),
                 instance(b, {"version": "v2"}, CHECK)])
    ])
    rows, _ = n.api("endpoints")
    rows = [r for r in rows if r["service"] == "svc"]
    assert {r["address"] for r in rows} == {f"127.0.0.1:{a.port}", f"127.0.0.1:{b.port}"}
    for r in rows:
        assert {
            "service", "namespace", "port", "subset", "address", "node", "zone", "state",
            "ejected_until", "ewma_ms", "active"
        } <= set(r), r
        assert (r["namespace"], r["port"], r["node"], r["state"],
                r["active"]) == ("default", 80, "n1", "healthy", 0)


def test_no_request_fails_while_an_instance_dies(bench):
    """b is cut and stops listening under traffic: GETs go on, the check finds out later."""
    a, b = bench.origin("a"), bench.origin("b")
    n = bench.node(
        [service("svc", [a, b], health={"tcp": True, "interval": "200ms", "fall": 2, "rise": 1})])
    bad = []
    with n.conn() as c:
        for i in range(600):
            if i == 200:
                b.refuse()
            if i == 400:
                b.resume()
            m = c.ask(target=f"/id/{i}", host="svc")
            if (m.status, m.body) != (200, f"{i}\n".encode()):
                bad.append((i, repr(m)))
    assert not bad, bad[:3]
    assert len(a.seen) + len(b.seen) >= 600 and b.seen

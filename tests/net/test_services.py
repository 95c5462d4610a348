"""Services of all nodes, called on any of them.

    clients ─▶ n3 :outbound ═════ HTTP/2 ═════▶ n1 :inbound ─▶ v1
                        ╚════════════════════▶ n2 :inbound ─▶ v2
    n1 ... n5 gossip, and tell each other what they host, how it is, and the policy.
"""
import asyncio
import collections
import time

import pytest

from lib import client
from lib.crossed import Mixture, Run
from lib.lateness import late
from lib.node import cli, free_port, instance, memory_counts
from lib.policy import Background, Counting, destination_rule, get, shares, virtual_service
from lib.services import Cut, Hammer, Services, can_cut, slowest, stalled
from lib.settings import HOST, MIB, SEED, Idle, scaled, secs, until

REQUESTS = scaled("GOSSAMER_CANARY", 1000, 10000)
EXCHANGES = scaled("GOSSAMER_MESH_EXCHANGES", 2000, 100000)
ROUNDS = scaled("GOSSAMER_ROUNDS", 4, 20)
DEAD_S = 20  # until the last of some nodes has declared another dead, at the most
RULE = destination_rule(v1="v1", v2="v2")


def books(answers):
    """(offered, completed, what failed by status and body)"""
    good = sum(a.status == 200 for a in answers)
    bad = collections.Counter((a.status, a.body[:80]) for a in answers if a.status != 200)
    return f"offered {len(answers)}, completed {good}, {len(answers) - good} failed", bad


# ---- where requests go ---------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["on the same node", "on different nodes"])
def test_a_canary_on_every_node(bench, labels, tell, where):
    """90/10: what any node of five sends is within 1 % of that."""
    m, v1, v2 = Services(bench), labels("v1"), labels("v2")
    if where == "on the same node":
        m.host(tools={"v1": v1, "v2": v2})
        m.host()
    else:
        m.host(tools={"v1": v1})
        m.host(tools={"v2": v2})
    for _ in range(3):
        m.host()
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    m.policy(m["n4"], RULE, virtual_service(v1=90, v2=10))
    told = []
    for n in m.nodes:
        with Counting(n.outbound, 8) as c:
            got = shares(c.run(REQUESTS, lambda i, r=get(): r))
        assert sum(got.values()) == REQUESTS
        told.append(f"{n.name} {got['v2'] * 100 / REQUESTS:.2f} %")
        assert abs(got["v2"] / REQUESTS - 0.1) <= 0.01, (n.name, got)
    tell(f"v1 and v2 {where}: v2 has {', '.join(told)} of {REQUESTS} each, 0 failed")


def test_a_node_without_instances_shows_the_mesh(bench, labels):
    m, v1, v2 = Services(bench), labels("v1"), labels("v2")
    m.host(extra={"zone": "eu-1a"}, tools={"v1": v1})
    m.host(extra={"zone": "eu-1b"}, tools={"v2": v2})
    n3 = m.host()
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    rows = {e["address"]: e for e in m.rows(n3, "tools")}
    assert {(a, e["node"], e["zone"], e["state"], e["labels"]["version"])
            for a, e in rows.items()
            } == {(f"{HOST}:{v1.port}", "n1", "eu-1a", "healthy", "v1"),
                  (f"{HOST}:{v2.port}", "n2", "eu-1b", "healthy", "v2")}
    (svc, ) = n3.api("services")[0]
    assert (svc["service"], svc["port"], svc["healthy"], svc["endpoints"]) == ("tools", 80, 2, 2)
    m.policy(m["n1"], RULE, virtual_service(v1=0, v2=100))
    for _ in range(10):
        assert n3.ask(host="tools").body == b"v2"
    assert n3.stat("tools", "outbound")["requests"] == 10
    assert n3.stat("tools", "inbound")["requests"] == 0
    until("n2 has counted them", lambda: m["n2"].stat("tools", "inbound")["requests"] == 10)
    sock = ("--socket", n3.socket_path)
    for args, words in ((("endpoints", ), ("n1", "n2", "healthy", f"{HOST}:{v1.port}")),
                        (("services", ), ("tools", "http")), (("stat", ), ("tools", "outbound")),
                        (("explain", "GET", "http://tools/x"), ("v2", "100"))):
        code, out, err = cli(*args, *sock)
        assert code == 0 and all(w in out for w in words), (args, out, err)
    v2.stop()
    m.wait_endpoints("tools", {v1.port: "healthy", v2.port: "unhealthy"})


def test_nothing_crosses_between_two_callers(bench, tell):
    """The mixture of test_crossed.py, from two services of one node through one pair of nodes."""
    mix = Mixture()
    a, g1, g2 = bench.origin("a"), bench.origin("g1"), bench.origin("g2")
    idle = bench.origin("idle")
    for o in (a, g1, g2):
        mix.install(o)
    m = Services(bench)
    m.host(a={"v1": a}, g={"v1": g1, "v2": g2})
    callers = {name: (HOST, free_port()) for name in ("one", "two")}
    own = [{"name": k, "namespace": "ai", "port": 80, "outbound": "%s:%d" % v,
            "instances": [instance(idle)]} for k, v in callers.items()]
    n2 = m.host(services=own)
    m.wait_whole()
    m.wait_endpoints("a", ["healthy"])
    m.wait_endpoints("g", ["healthy"] * 2)
    runs = [
        Run(mix, {"a": addr, "g": addr}, EXCHANGES // 2, SEED + i)
        for i, addr in enumerate(callers.values())
    ]

    async def both():
        await asyncio.gather(*(r.go() for r in runs))

    asyncio.run(both())
    for run in runs:
        tell(run.report())
    for run in runs:
        assert not run.findings(), run.findings()
        assert run.offered == EXCHANGES // 2 and run.completed > run.offered // 2
        assert run.aborted > run.offered // 20 and run.cut + run.refused > run.offered // 50
    for o in (a, g1, g2):
        until("connections of the inbound side idle out", lambda: not o.open_conns(), 15)
    assert n2.alive()


# ---- nodes that end ------------------------------------------------------------------------------


class Load:
    """GETs and POSTs at once, at several nodes."""

    def __init__(self, nodes, conns=4):
        post = b"POST / HTTP/1.1\r\nHost: tools\r\nContent-Length: 0\r\n\r\n"
        self.gets = [Background(n.outbound, conns) for n in nodes]
        self.posts = [Background(n.outbound, conns, lambda i: post) for n in nodes]
        self.all = self.gets + self.posts

    def __enter__(self):
        for b in self.all:
            b.sent = 0
            b.request = self.counted(b)
            b.__enter__()
        return self

    @staticmethod
    def counted(b):
        inner = b.request

        def request(i):
            b.sent = i + 1
            return inner(i)

        return request

    def wait(self, more=200):
        """Until each has sent that many more."""
        was = [b.sent for b in self.all]
        until(f"{more} more requests of each", lambda: all(
            b.sent >= w + more or not b.thread.is_alive() for b, w in zip(self.all, was)), 30)

    def __exit__(self, *exc):
        for b in self.all:
            b.stopping = True
        for b in self.all:
            b.__exit__(*exc)

    @staticmethod
    def answers(list):
        return sum((b.answers for b in list), [])


@pytest.fixture
def pair(bench, labels):
    """tools is on n1 and n2; n3 and n4 call."""
    m = Services(bench)
    m.labels = labels("v1"), labels("v2")
    m.host()
    m.host(tools={"v1": m.labels[0]})
    m.host(tools={"v2": m.labels[1]})
    m.host()
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    return m


def test_a_killed_node(pair, tell):
    """SIGKILL under load, again and again: no GET fails; a POST only if it was on its way."""
    m, conns = pair, 4
    callers = [m["n1"], m["n4"]]
    times = []
    with Load(callers, conns) as load:
        for i in range(ROUNDS):
            victim = m["n2"] if i % 2 == 0 else m["n3"]
            load.wait()
            began = time.monotonic()
            victim.crash()
            times.append((began, time.monotonic()))
            load.wait()
            victim.start(healthy=False)
            m.wait_endpoints("tools", ["healthy"] * 2, at=callers)
            load.wait()
    gets, posts = load.answers(load.gets), load.answers(load.posts)
    said, bad = books(gets)
    tell(f"{ROUNDS} x SIGKILL: GET {said}; POST {books(posts)[0]}")
    assert not bad, bad
    failed = [a for a in posts if a.status != 200]
    assert len(failed) <= len(callers) * conns * ROUNDS, books(posts)
    for a in failed:  # it had left before its node could hear of it, given a share of a busy processor
        assert any(a.began <= gone + secs(0.1) + late(gone, gone + 1) and a.ended >= began
                   for began, gone in times), (a, times, books(posts))


def test_a_stopped_node(pair, tell):
    """SIGTERM under load, again and again: nothing fails at its peers."""
    m = pair
    callers = [m["n1"], m["n4"]]
    with Load(callers) as load:
        for i in range(ROUNDS):
            victim = m["n2"] if i % 2 == 0 else m["n3"]
            load.wait()
            victim.stop()
            load.wait()
            victim.start(healthy=False)
            m.wait_endpoints("tools", ["healthy"] * 2, at=callers)
            load.wait()
    gets, posts = load.answers(load.gets), load.answers(load.posts)
    (gs, gbad), (ps, pbad) = books(gets), books(posts)
    tell(f"{ROUNDS} x SIGTERM: GET {gs}; POST {ps}")
    assert not gbad and not pbad, (gbad, pbad)


def test_peers_learn_that_a_node_drains(bench):
    """Its endpoints say so while an exchange of it is still under way, and new ones go elsewhere."""
    m, o, p = Services(bench), bench.origin("o"), bench.origin("p")
    n1, n2 = m.host(), m.host(tools={"v1": o}, timeouts={"drain": "20s"})
    m.host(tools={"v2": p})
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    held = []
    while not o.seen:
        held.append(n1.conn())
        held[-1].send(get("/hold/g"))
        until("it has arrived", lambda: len(o.seen) + len(p.seen) == len(held))
    n2.term()
    m.wait_endpoints("tools", {o.port: "draining", p.port: "healthy"}, at=[n1], timeout=3)
    for _ in range(20):
        assert n1.ask(host="tools", target="/").body == b"p\n"
    for x in (o, p):
        x.open_gate("g")
    for c in held:
        assert c.answer().body == b"held"
        c.close()
    assert n2.wait(10) == 0


def test_the_dead_are_lost_and_the_last_one_is_used(pair, tell):
    """Endpoints of a dead owner are `lost`; when there are no others they are used all the same."""
    m, (v1, v2) = pair, pair.labels
    callers = [m["n1"], m["n4"]]
    with Load(callers) as load:
        load.wait()
        m["n2"].crash()
        m.wait_endpoints("tools", {v1.port: "lost", v2.port: "healthy"}, at=callers, timeout=DEAD_S)
        load.wait()
    said, bad = books(load.answers(load.gets))
    tell(f"its endpoints are lost: GET {said}")
    assert not bad, bad
    m["n3"].crash()
    m.wait_endpoints("tools", {v1.port: "lost", v2.port: "lost"}, at=callers, timeout=DEAD_S)
    answer = m["n1"].ask(host="tools")
    assert answer.status == 503 and "connection_refused" in answer.get("Proxy-Status"), answer
    m["n3"].start(healthy=False)
    until("it serves", lambda: m["n1"].ask(host="tools").body == b"v2", 10)
    m.wait_endpoints("tools", {v1.port: "lost", v2.port: "healthy"}, at=callers)


@pytest.mark.skipif(not can_cut(), reason="SKIPPED: cutting gossip needs root and nft")
@pytest.mark.parametrize("what", ["UDP", "UDP and TCP"])
def test_a_wrong_verdict_fails_nothing(bench, labels, tell, what):
    """Nobody hears the gossip of n2, or only its datagrams are lost; its requests still flow."""
    m, v1 = Services(bench), labels("v1")
    n1 = m.host()
    n2 = m.host(tools={"v1": v1}, group=54321)
    n3, quiet = m.host(), m.host()
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"])
    with Load([n1, n3], 2) as load:
        load.wait()
        with Cut(n2, [n1, n3, quiet], tcp=what != "UDP"):
            load.wait()
            if what == "UDP":
                began = time.monotonic()
                until("3 s of probes by TCP", lambda: time.monotonic() > began + 3, 4)
                verdict = [m.states(n)["n2"] for n in (n1, n3)]
            else:
                m.wait_state("n2", "dead", DEAD_S, but=(n2, ))
                verdict = [e["state"] for n in (n1, n3) for e in m.rows(n, "tools")]
                assert set(verdict) <= {"healthy", "lost"}, verdict  # healthy: it answers all the time
                # Who has not called it believes the verdict, and uses it all the same: it is all
                # there is.
                m.wait_endpoints("tools", ["lost"], at=[quiet], timeout=DEAD_S)
                for _ in range(100):
                    assert quiet.ask(host="tools").body == b"v1"
            load.wait(500)
        m.wait_whole(30)
        m.wait_endpoints("tools", ["healthy"], timeout=20)
        load.wait()
    (gs, gbad), (ps, pbad) = books(load.answers(load.gets)), books(load.answers(load.posts))
    tell(f"{what} of one node cut (it was {verdict}): GET {gs}; POST {ps}")
    assert not gbad and not pbad, (gbad, pbad)
    if what == "UDP":
        assert not n1.lines("member.down") and not n3.lines("member.down")


# ---- nodes that begin ----------------------------------------------------------------------------


def judge_hammer(hammers, right):
    """Only right answers, and 503; when they ended and how many there were."""
    out = collections.Counter()
    wrong = []
    for h in hammers:
        out += h.counts()
        wrong += [a for a in h.answers if (a[2], a[3]) != (200, right) and a[2] != 503]
    return f"{dict(out)}, {len(wrong)} wrong", wrong


def hammered(starters, right, more=200):
    """Start nodes at once, each under requests from before its ports open, until every one of them
    has answered rightly that many more times after it was open."""
    hammers = [Hammer(n.outbound) for n in starters]
    for h in hammers:
        h.__enter__()
    try:
        for n in starters:
            n.spawn()
        for n in starters:
            until(f"{n.name} ready", n.is_ready, 15)
        was = [len(h.answers) for h in hammers]
        until("requests after it is open",
              lambda: all(len(h.answers) > w + more for h, w in zip(hammers, was)), 30)
    finally:
        for h in hammers:
            h.__exit__()
    return judge_hammer(hammers, right)


@pytest.mark.parametrize("count", [1, 2])
def test_a_joiner_uses_no_rules_but_the_meshs(bench, labels, tell, count):
    """Everything goes to v2, which n2 has; who joins has v1, or nothing."""
    m, v2 = Services(bench), labels("v2")
    m.host()
    m.host(tools={"v2": v2})
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"])
    m.policy(m["n1"], RULE, virtual_service(v1=0, v2=100))
    wrong = []
    for i in range(ROUNDS):
        v1 = labels("v1")
        new = [
            m.host(f"j{i}{k}", start=False, **({"tools": {"v1": v1}} if (i + k) % 2 == 0 else {}))
            for k in range(count)
        ]
        said, bad = hammered(new, "v2")
        tell(f"round {i}, {count} joining: {said}")
        wrong += bad
        for n in new:
            assert Services.states(n)["n1"] == "alive"
            n.stop()
    assert not wrong, wrong[:10]


def test_a_founder_that_missed_an_edit(bench, labels, tell):
    """n1 knows v1; while it is down everything is sent to v2. It comes back under requests."""
    m, v1, v2 = Services(bench), labels("v1"), labels("v2")
    n1 = m.host(tools={"v1": v1})
    m.host(tools={"v1": labels("v1"), "v2": v2})
    m.host()
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 3)
    wrong = []
    for i in range(ROUNDS):
        m.policy(m["n2"], RULE, virtual_service(v1=100, v2=0))
        assert n1.ask(host="tools").body == b"v1"
        if i % 2 == 0:
            n1.stop()
        else:
            n1.crash()
        m.policy(m["n2"], RULE, virtual_service(v1=0, v2=100))
        said, bad = hammered([n1], "v2")
        tell(f"round {i}: {said}")
        wrong += bad
    assert not wrong, wrong[:10]


def test_who_had_a_connection_knows_at_once(bench, labels, tell):
    """A node is killed, and another one's connection to it ends: it is asked at once, not when it is its turn.
    One that only restarts is asked, too, and lives on."""
    m = Services(bench)
    n1 = m.host()
    victim = m.host(tools={"v1": labels("v1")})
    for _ in range(2):
        m.host()
    took = []
    for _ in range(5):
        m.wait_whole()
        m.wait_endpoints("tools", ["healthy"])
        assert n1.ask(host="tools").body == b"v1"
        began = time.monotonic()
        victim.crash()
        m.wait_state(victim.name, "dead", 10)
        took.append(time.monotonic() - began - late(began))
        victim.start()
    tell("dead for all after " + ", ".join(f"{t * 1000:.0f}" for t in took) + " ms")
    assert max(took) <= secs(0.5), took
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"])
    assert n1.ask(host="tools").body == b"v1"
    downs = [len(n.lines("member.down")) for n in m.nodes]
    victim.stop()
    victim.start()
    m.wait_whole()
    assert [len(n.lines("member.down")) for n in m.nodes if n is not victim] == [
        d for d, n in zip(downs, m.nodes) if n is not victim]


# ---- stalled, and small --------------------------------------------------------------------------


def test_a_stalled_cycle_serves_new_requests(bench, tell):
    """200 answers that nobody reads, each way between two nodes: new requests do not wait."""
    m, oa, ob = Services(bench), bench.origin("ea"), bench.origin("eb")
    patient = {"connect": "30s"}  # who is refused for the slowness of this machine is never under way
    a, b = m.host(ea={"v1": oa}, timeouts=patient), m.host(eb={"v1": ob}, timeouts=patient)
    m.wait_whole()
    for name in ("ea", "eb"):
        m.wait_endpoints(name, ["healthy"])
    ways = ((a, "eb"), (b, "ea"))
    open = [stalled(n.outbound, host) for n, host in ways * 200]

    until("all are under way",
          lambda: sum("/bytes/" in r.target for r in oa.seen + ob.seen) >= len(open), 30)
    # Only then are new requests asked: the one thread of Python that sends these would have them wait.
    until("nothing of them moves any more",
          Idle([n.proc.pid for n in (a, b)], [o.thread.native_id for o in (oa, ob)]), 60)
    worst = slowest([(n.outbound, host) for n, host in ways], secs(0.1))
    queued = [int(n.metrics()["gossamer_queued_bytes"][0].value) for n in (a, b)]
    for s in open:
        s.close()
    tell(f"2 x 200 answers stalled: 100 new requests took {worst * 1000:.1f} ms at the most "
         f"(queued {queued})")
    assert worst <= secs(0.1), worst
    assert min(queued) > 200 * 64 * 1024, "the streams between the nodes did not stall"


def test_memory_of_a_mesh_of_five(bench, labels, tell):
    m = Services(bench)
    for i in range(5):
        m.host(**{f"s{i}": {"v1": labels("v1")}})
    m.wait_whole()
    for i in range(5):
        m.wait_endpoints(f"s{i}", ["healthy"])
    rss = [n.rss_kib() for n in m.nodes]
    tell("resident: " + ", ".join(f"{r / 1024:.1f} MiB" for r in rss))
    if memory_counts():
        assert max(rss) * 1024 <= 10 * MIB

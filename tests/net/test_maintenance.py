"""What an operator wants of nodes and endpoints for a while: said at any node, true at all of them.

    gossamer drain n1 ─▶ n4 ═gossip═▶ n1 ... n5     clients ─▶ each node's :outbound
    n1, n2, n3 have one instance each of tools: v1, v2, v3; n4 and n5 have none
"""
import asyncio
import collections
import json
import re
import signal
import threading
import time

import pytest
from lib import client, wire
from lib.lateness import late
from lib.node import cli
from lib.policy import Background, Counting, Label, destination_rule, get, shares, virtual_service
from lib.services import Services
from lib.settings import HOST, scaled, until

REQUESTS = scaled("GOSSAMER_SHARES", 4000, 10000)
ROUNDS = 8  # of so many, until enough of them tell of the weights
OWN = "gossamer.dev/v1"


@pytest.fixture
def five(bench, labels):
    m = Services(bench)
    m.origins = [labels(f"v{i}") for i in (1, 2, 3)]
    for o in m.origins:
        m.host(tools={o.name: o})
    for _ in range(2):
        m.host()
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 3)
    return m


def gossamer(n, *args, want=0):
    code, out, err = cli(*args, "--socket", n.socket_path, timeout=60)
    assert code == want, f"{args} exited with {code}:\n{out}{err}"
    return out, err


def said(n, *args, want=0):
    """-o json"""
    return json.loads(gossamer(n, *args, "-o", "json", want=want)[0])


def post(n, verb, query="", **body):
    status, answer = n.admin_request("POST", f"/api/v1/{verb}{query}", json.dumps(body), timeout=30)
    return status, json.loads(answer)


def maintenance(name, namespace="default", **spec):
    return {
        "apiVersion": OWN,
        "kind": "Maintenance",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def bodies(n, count=30, host="tools"):
    """Who answers, of requests one after the other."""
    return collections.Counter(n.ask(host=host).body.decode() for _ in range(count))


def chosen(n, name="tools"):
    """The nodes of the endpoints that a request would go to one of. (Which of them does is the
    balancer's business: one that was slow once is left alone for a while.)"""
    (backend, ) = said(n, "explain", "GET", f"http://{name}/")["route"]["backends"]
    return {e["node"] for e in backend.get("endpoints", ())}


def states(n, name="tools"):
    return {e["node"]: e["state"] for e in Services.rows(n, name)}


# ---- draining ----


def test_a_drained_node_gets_nothing_new_and_loses_nothing(five, tell):
    """Under requests at every node, its own included: from the confirmation on not one goes there,
    and none fails, then or later."""
    runs = [Background(n.outbound, 2) for n in five.nodes]

    def requests():
        return [n.stat("tools", "outbound")["requests"] for n in five.nodes]

    try:
        for r in runs:
            r.__enter__()
        until("requests", lambda: min(requests()) > 300, 20)
        out, err = gossamer(five["n4"], "drain", "n1", "--reason", "a new disk")
        drained, sent = time.monotonic(), requests()
        assert out.splitlines()[-1].startswith("5/5 in ") and not err, (out, err)
        until("more requests", lambda: all(
            now - was > 500 for now, was in zip(requests(), sent)), 20)
        for n in five.nodes:
            assert states(n) == {"n1": "draining", "n2": "healthy", "n3": "healthy"}, n.name
        undone = time.monotonic()
        out, err = gossamer(five["n5"], "undrain", "n1")
        assert out.splitlines()[-1].startswith("5/5 in "), (out, err)
        whole, sent = time.monotonic(), requests()
        until("more requests at each", lambda: all(
            now - was > 500 for now, was in zip(requests(), sent)), 20)
        # Who was slow once, before it was drained, is avoided by the balancer for up to a minute.
        until("n1 has its share again", lambda n=five["n1"].stat("tools", "inbound")["requests"]: five[
            "n1"].stat("tools", "inbound")["requests"] > n + 150, 90)
    finally:
        for r in runs:
            r.__exit__()
    answers = [a for r in runs for a in r.answers]
    failed = [a for a in answers if a.status != 200]
    tell(f"offered {len(answers)}, completed {len(answers) - len(failed)}, {len(failed)} failed; "
         f"drained for {undone - drained:.1f} s")
    assert not failed, failed[:3]
    for n, r in zip(five.nodes, runs):
        during = [a for a in r.answers if drained < a.began < undone]
        assert len(during) > 100, n.name
        assert not [a for a in during if a.body == "v1"], n.name
    after = collections.Counter(a.body for a in answers if a.began > whole)
    assert after["v1"] > 100, after


def test_what_is_under_way_ends_as_it_would(bench, five):
    """A stream of events and a request that waits, both begun before the drain."""
    o, sent = bench.origin("slow"), []

    async def events_until_the_gate(c, req, seg, q):
        await c.body()
        await c.send(wire.head("HTTP/1.1 200 OK", [("Content-Type", "text/event-stream"),
                                                   ("Transfer-Encoding", "chunked")]))
        while not o.gates["gate"].is_set():
            await c.send(wire.chunk(b"data: %d\n\n" % len(sent)))
            sent.append(time.monotonic())
            await asyncio.sleep(0.1)
        await c.send(wire.chunks(b""))

    o.scripts["events"] = events_until_the_gate
    n1, n4 = five["n1"], five["n4"]
    slow = five.host(slow={"v1": o})
    five.host(slow={"v1": five.origins[0]})
    five.wait_whole()
    five.wait_endpoints("slow", ["healthy"] * 2)
    gossamer(n4, "weight", f"slow/{HOST}:{five.origins[0].port}", "0")
    with client.Conn(n4.outbound, 30) as events, client.Conn(n4.outbound, 30) as held:
        events.send(get("/events", "slow"))
        held.send(get("/hold/gate", "slow"))
        until("both are there", lambda: len(o.seen) >= 2 and any(
            "/hold" in m.target for m in o.seen))
        gossamer(n4, "drain", slow.name)
        active = sum(e["active"] for e in Services.rows(slow, "slow") if e["node"] == slow.name)
        assert active == 2, "the drained node shows what is still under way"
        until("events go on", lambda n=len(sent): len(sent) > n + 3)
        o.open_gate("gate")
        assert held.answer().status == 200
        m = events.answer()
        assert m.status == 200 and m.body.count(b"data:") == len(sent), (len(sent), m.body)
    until("nothing is under way", lambda: not sum(
        e["active"] for e in Services.rows(slow, "slow")))
    assert n1.alive()


def test_it_holds_over_restarts(five):
    """Of the drained node, of the node that took it, and of all at once."""
    gossamer(five["n4"], "drain", "n2", "--reason", "kept")
    gossamer(five["n5"], "weight", "tools/n3", "0")

    def holds():
        five.wait_endpoints("tools", {
            o.port: s for o, s in zip(five.origins, ("healthy", "draining", "healthy"))
        })
        five.settle(five["n5"])
        for n in five.nodes:
            assert set(bodies(n)) == {"v1"}, n.name

    holds()
    for name in ("n2", "n4"):
        five[name].stop()
        five[name].start(healthy=False)
        five.wait_whole()
        holds()
    for n in five.nodes:
        n.crash()
    for n in five.nodes:
        n.start(healthy=False)
    five.wait_whole(20)
    holds()
    (row, ) = [r for r in said(five["n1"], "members")["members"] if r["name"] == "n2"]
    assert row["maintenance"] == ["default/node.n2"] and row["drained_since"] > 1e9
    gossamer(five["n2"], "undrain", "n2")
    gossamer(five["n1"], "weight", "tools/n3", "100")
    for n in five.nodes:
        assert chosen(n) == {"n1", "n2", "n3"}, n.name
    assert said(five["n3"], "get", "Maintenance")["items"] == []


def test_a_drained_endpoint_is_used_when_nobody_else_is_left(five):
    gossamer(five["n1"], "drain", "n1")
    out, err = gossamer(five["n1"], "drain", "tools/n2")
    assert not err
    out, err = gossamer(five["n1"], "drain", f"tools/{HOST}:{five.origins[2].port}")
    assert "GS0131" in err and "the drained ones are used" in err, err
    for n in five.nodes:
        assert chosen(n) == {"n1", "n2", "n3"} and bodies(n), n.name
    out, err = gossamer(five["n5"], "analyze")
    assert out.count("GS0131") == 3, out
    gossamer(five["n3"], "undrain", "tools/n2")
    for n in five.nodes:
        assert set(bodies(n)) == {"v2"}, n.name


def test_a_service_is_closed_only_by_force(five):
    out, err = gossamer(five["n4"], "drain", "tools", want=1)
    assert "GS0131" in err and "503" in err and "--force" in err, err
    assert chosen(five["n5"]) == {"n1", "n2", "n3"}
    out, err = gossamer(five["n4"], "drain", "tools", "--force")
    assert out.splitlines()[-1].startswith("5/5 in ") and "GS0131" in err
    for n in five.nodes:
        m = n.ask(host="tools")
        assert m.status == 503, n.name
        assert "destination_unavailable" in m.get("proxy-status"), m.get("proxy-status")
        until("it is counted", lambda: n.stat("tools", "outbound")["flags"].get("UH") == 1)
    out, err = gossamer(five["n2"], "explain", "GET", "http://tools/x")
    assert out.count("the whole service is drained by Maintenance default/service.tools") == 3
    assert "503 UH" in out
    gossamer(five["n1"], "undrain", "tools")
    for n in five.nodes:
        assert chosen(n) == {"n1", "n2", "n3"} and n.ask(host="tools").status == 200, n.name


def test_one_instance_of_several(bench, labels, five):
    """Two on one node; one address on two nodes."""
    a, b = labels("a"), labels("b")
    five.host(web={"v1": a, "v2": b})
    five.host(web={"v1": a})
    five.wait_whole()
    five.wait_endpoints("web", ["healthy"] * 3)
    out, err = gossamer(five["n1"], "drain", f"web/{HOST}:{a.port}", want=1)
    assert "several nodes" in err and f"{HOST}:{a.port}@n6" in err and f"{HOST}:{a.port}@n7" in err
    gossamer(five["n1"], "drain", f"web/{HOST}:{a.port}@n6")
    for n in five.alive():
        rows = {(e["node"], e["address"]): (e["state"], e["drained_by"]) for e in five.rows(n, "web")}
        assert rows == {
            ("n6", f"{HOST}:{a.port}"): ("draining", "operator"),
            ("n6", f"{HOST}:{b.port}"): ("healthy", None),
            ("n7", f"{HOST}:{a.port}"): ("healthy", None),
        }
    gossamer(five["n2"], "drain", f"web/{HOST}:{b.port}")
    assert set(bodies(five["n3"], host="web")) == {"a"}, "n7 has it too"
    five["n7"].stop()
    five.wait_state("n7", "dead", 20)  # for all: who does not know it yet asks it to confirm
    until("only drained ones are left", lambda: chosen(five["n3"], "web") == {"n6"}, 20)
    assert sum(bodies(five["n3"], host="web").values()) == 30
    gossamer(five["n2"], "undrain", f"web/{HOST}:{a.port}")  # the one that was drained
    assert set(bodies(five["n3"], host="web")) == {"a"}


# ---- weights ----


def off(share, drawn=REQUESTS):
    """Four deviations of what is drawn."""
    return 4 * (share * (1 - share) / drawn)**0.5


def by_weight(answers, weights):
    """Those that went where their weights alone say. A drawn instance that has more than twice its share
    and eight requests under way gives way to one of another weight (proxy/balance.c): that happens where
    the application is kept waiting for the processor, and says nothing of weights. So what counts is what
    was sent while nobody had as much, whoever else may have had nothing."""
    most = {k: 8 + 2 * min([w / other for other in weights.values() if other != w])
            for k, w in weights.items()}
    steps = sorted([(a.began, 1, a.number, a) for a in answers] +
                   [(a.ended, 0, a.number, a) for a in answers])
    under_way, out = collections.Counter(), []
    for _, begins, _, a in steps:
        if begins and all(under_way[k] <= most[k] for k in most):
            out.append(a)
        under_way[a.body] += 1 if begins else -1
    return out


def share_of(name, share, n, conns, weights):
    """Has it this share? (what is told of it, and an assertion). Once in 10,000 times it is off by more than
    four deviations by chance: then others are drawn."""
    for _ in range(2):
        got, sent = drawn(n, conns, weights)
        has = got[name] / sum(got.values())
        if abs(has - share) <= off(share):
            break
    assert abs(has - share) <= off(share), (n.name, got, sent)
    return f"{n.name} ({conns} at a time) {has * 100:.2f} % of {sum(got.values())} of {sent}"


def drawn(n, conns, weights):
    """(who answered of those that count, how many were sent): REQUESTS of them at the least."""
    got, sent = collections.Counter(), 0
    while sum(got.values()) < REQUESTS:
        assert sent < ROUNDS * REQUESTS, (n.name, got, sent)
        with Counting(n.outbound, conns) as c:
            answers = c.run(REQUESTS, lambda i, r=get(): r)
        assert sum(shares(answers).values()) == REQUESTS
        got += shares(by_weight(answers, weights))
        sent += REQUESTS
    return got, sent


def test_weights_are_shares_at_every_node(five, tell):
    """10 percent of the ordinary: 10 of 210, with one request at a time and with many."""
    out, err = gossamer(five["n5"], "weight", f"tools/{HOST}:{five.origins[1].port}", "10")
    assert out.splitlines()[-1].startswith("5/5 in "), out
    told = []
    for n, conns in zip(five.nodes, (1, 4, 8, 16, 32)):
        # What is left the other two share as they do without: by latency and load.
        told.append(share_of("v2", 10 / 210, n, conns, {"v1": 100, "v2": 10, "v3": 100}))
    tell(f"weight 10 beside 100 and 100 is 4.76 %: {', '.join(told)}, 0 failed")
    rows = {e["node"]: e for e in five.rows(five["n1"], "tools")}
    assert [rows[k]["weight"] for k in ("n1", "n2", "n3")] == [100, 10, 100]
    gossamer(five["n1"], "weight", "tools/n2", "300")
    assert {e["weight"] for e in five.rows(five["n4"], "tools")} == {100, 10}, "the least holds"
    gossamer(five["n1"], "weight", f"tools/{HOST}:{five.origins[1].port}", "100")
    share_of("v2", 0.6, five["n4"], 8, {"v1": 100, "v2": 300, "v3": 100})
    gossamer(five["n1"], "weight", "tools/n2", "100")
    assert {e["weight"] for e in five.rows(five["n4"], "tools")} == {100}


def test_weights_hold_within_a_subset(five, tell):
    """Half goes to v1 by its route; what weighs less within the other half says nothing of that."""
    two = five.host(tools={"v1": five.origins[1]})  # a second instance of subset v1, on n6
    five.wait_endpoints("tools", ["healthy"] * 4)
    five.policy(five["n1"], destination_rule(v1="v1", v3="v3"), virtual_service(v1=50, v3=50))
    gossamer(five["n4"], "weight", f"tools/{two.name}", "25")
    for again in (True, False):  # as at share_of()
        got, sent = drawn(five["n5"], 8, {"v1": 100, "v2": 25})
        tell(f"v1 {got['v1']}, its second instance {got['v2']}, v3 {got['v3']} of {sent}")
        of_v1 = got["v1"] + got["v2"]
        # Routes are spread, not drawn; but where not all requests count, neither do equally many of each.
        assert abs(got["v3"] / sum(got.values()) - 0.5) <= (0.01 if sent == REQUESTS else off(0.5)), got
        if abs(got["v2"] / of_v1 - 0.2) <= off(0.2, of_v1):
            break
        assert again, got


def test_weight_zero_is_nothing_at_all(five):
    gossamer(five["n1"], "weight", "tools/n1", "0")
    gossamer(five["n2"], "weight", "tools/n2", "0")
    for n in five.nodes:
        assert set(bodies(n)) == {"v3"}, n.name
    out, err = gossamer(five["n2"], "weight", "tools/n3", "0", want=1)
    assert "no endpoint of tools.default:80 would be left" in err
    five["n3"].crash()
    five.wait_state("n3", "dead", 20)  # for all: who does not know it yet asks it to confirm
    five.wait_endpoints("tools", ["healthy", "healthy", "lost"])
    gossamer(five["n5"], "weight", "tools/n3", "0", "--force")
    assert five["n4"].ask(host="tools").status == 503
    gossamer(five["n5"], "weight", "tools/n1", "100")
    assert set(bodies(five["n4"])) == {"v1"}
    five["n3"].start(healthy=False)


# ---- what an operator sees ----


def test_lists_and_explain(five):
    gossamer(five["n1"], "drain", "n1", "--reason", "a new disk")
    gossamer(five["n1"], "weight", "tools/n2", "10")
    out, _ = gossamer(five["n5"], "endpoints", "tools")
    assert out.count("draining") == 1 and "WEIGHT" not in out
    out, _ = gossamer(five["n5"], "endpoints", "tools", "-o", "wide")
    row = next(line for line in out.splitlines() if "draining" in line)
    assert "operator" in row and "default/node.n1" in row and "DRAINED BY" in out
    out, _ = gossamer(five["n5"], "members")
    row = next(line for line in out.splitlines() if line.startswith("n1"))
    assert row.split()[-1].endswith("s"), "since when"
    assert next(x for x in out.splitlines() if x.startswith("n2")).split()[-1] == "-"
    out, _ = gossamer(five["n5"], "explain", "GET", "http://tools/x")
    assert "draining, not used: it is drained by Maintenance default/node.n1 of 20" in out, out
    assert ": a new disk" in out and "weight 10: 9.1 %" in out and "weight 100: 90.9 %" in out
    doc = said(five["n5"], "explain", "GET", "http://tools/x")
    (backend, ) = doc["route"]["backends"]
    assert [(e["node"], e["weight"]) for e in backend["endpoints"]] in (
        [("n2", 10), ("n3", 100)], [("n3", 100), ("n2", 10)])
    assert [e["node"] for e in backend["unused"]] == ["n1"]
    out, _ = gossamer(five["n5"], "get", "mt")
    assert "node n1: drained" in out and "tools.default/n2: weight 10" in out
    assert [e for e in five["n5"].lines("policy.arrived", kind="Maintenance", name="node.n1")]
    value = five["n5"].metrics()["gossamer_endpoints_drained"][0].value
    assert value == 1
    doc = said(five["n4"], "get", "Maintenance", "node.n1")
    assert doc["spec"]["node"] == "n1" and doc["spec"]["drain"] is True
    assert doc["spec"]["reason"] == "a new disk"
    # A subset counts a drained member as its own, on the inbound side too.
    five.policy(five["n1"], destination_rule(v1="v1"), virtual_service(v1=100, http=[{
        "route": [{"destination": {"host": "tools", "subset": "v1"}}]}]))
    assert set(bodies(five["n4"], 5)) == {"v1"}
    until("n1 has counted them", lambda: sum(
        r["requests"] for r in five["n1"].api("stat")[0]
        if r["direction"] == "inbound" and r["subset"] == "v1") == 5)


def test_it_is_an_object_like_any_other(five, tmp_path):
    """Idempotent, conditional, with a history, exported and applied back, and undone by delete."""
    n1, n2 = five["n1"], five["n2"]
    status, first = post(n1, "drain", target="n3", reason="one", by="ann")
    assert status == 200
    (a, ) = first["applied"]
    assert (a["kind"], a["namespace"], a["name"], a["state"]) == ("Maintenance", "default",
                                                                  "node.n3", "active")
    assert (first["asked"], first["confirmed"], first["laggards"]) == (5, 5, [])
    status, again = post(n2, "drain", target="n3", by="bob")
    assert again["applied"][0]["state"] == "unchanged"
    assert again["applied"][0]["version"] == a["version"], "two operators, one object"
    doc = said(n2, "drain", "n3", "--reason", "two", "--dry-run")
    assert doc["dry_run"] and doc["applied"][0]["state"] == "changed"
    code, out, err = cli("drain", "n3", "--reason", "two", "--if-version", "0", "--socket",
                         n2.socket_path)
    assert code == 5 and "GS0409" in err, (code, err)
    gossamer(n2, "drain", "n3", "--reason", "two", "--if-version", a["version"])
    out, _ = gossamer(five["n4"], "get", "Maintenance", "node.n3", "--history")
    assert out.count("\n") == 3, out
    gossamer(five["n5"], "rollback", "Maintenance", "node.n3")
    assert said(n1, "get", "mt", "node.n3")["spec"]["reason"] == "one"
    f = tmp_path / "all.json"
    f.write_text(json.dumps(said(n1, "get", "Maintenance")))
    out, err = gossamer(five["n4"], "apply", "-f", str(f))
    assert "unchanged" in out, (out, err)
    gossamer(n2, "delete", "Maintenance", "node.n3")
    for n in five.nodes:
        assert states(n)["n3"] == "healthy"
    out, err = gossamer(n2, "undrain", "n3")
    assert "nothing to change" in out and "node n3 is not drained" in err


def test_a_stopped_node_is_named(five):
    sleeper = five["n5"]

    def waited(reason):
        began = time.monotonic()
        sleeper.proc.send_signal(signal.SIGSTOP)
        try:
            code, out, err = cli("drain", "n1", "--reason", reason, "--timeout", "1s", "--socket",
                                 five["n2"].socket_path)
        finally:
            sleeper.proc.send_signal(signal.SIGCONT)
        took = re.search(r"^4/5 in (\d+\.\d) s; n5: ", out, re.M)
        assert code == 4 and took and float(took[1]) >= 1.0, (code, out, err)
        until("n5 has it", lambda: states(sleeper)["n1"] == "draining")
        five.wait_whole()
        return float(took[1]) - late(began)

    # One of three in time: who waits for longer than it was told to does so each time.
    assert any(waited(reason) <= 1.05 for reason in ("one", "two", "three"))


def test_what_is_not_there_yet(five, tmp_path, labels):
    """By force or from a file, what nobody knows is kept, and holds from its first moment."""
    n1 = five["n1"]
    out, err = gossamer(n1, "drain", "n7", want=1)
    assert "no node and no service" in err and "did you mean n" in err
    gossamer(n1, "drain", "n7", "--node", "--force")
    f = tmp_path / "m.yaml"
    f.write_text(json.dumps(maintenance("later", service={"name": "later"}, drain=True)))
    out, err = gossamer(n1, "apply", "-f", str(f))
    assert "GS0130" in err and "when there is one" in err and "m.yaml:1:" in err, err
    out, err = gossamer(five["n4"], "analyze")
    assert out.count("GS0130") == 2
    o = labels("new")
    five.host("n7", tools={"v1": o}, later={"v1": o})
    five.wait_whole()
    five.wait_endpoints("tools", ["healthy"] * 3 + ["draining"])
    for n in five.nodes:
        assert "new" not in bodies(n, 20), n.name
    until("later is there", lambda: five.rows(five["n4"], "later"))
    assert five["n4"].ask(host="later").status == 503
    five["n7"].stop()
    five.wait_state("n7", "dead", 20)
    gossamer(five["n4"], "undrain", "n7")
    gossamer(five["n4"], "undrain", "later")


def test_operators_of_all_nodes_at_once(five):
    """Each drains the same node, then undoes it, at the same time: nothing is left of it."""

    def run(n, verb, codes):
        codes.append(cli(verb, "n1", "--socket", n.socket_path, timeout=60)[0])

    for _ in range(3):
        for verb, state in (("drain", "draining"), ("undrain", "healthy")):
            codes = []
            threads = [threading.Thread(target=run, args=(n, verb, codes)) for n in five.nodes]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert set(codes) <= {0, 1}, codes  # 1: deleted by another while it was looked at
            until(f"all are {state}", lambda: all(
                states(n)["n1"] == state for n in five.nodes))
        assert said(five["n2"], "get", "Maintenance")["items"] == []


# ---- bad input ----


@pytest.mark.parametrize("args,code,says", [
    (("drain", ), 2, "TARGET"),
    (("drain", "n1", "n2"), 2, ""),
    (("drain", "nn1"), 1, "did you mean n1?"),
    (("drain", "tols"), 1, "did you mean tools?"),
    (("drain", "--node", "tools"), 1, "no node of the mesh"),
    (("drain", "--service", "n1"), 1, "no service of the mesh"),
    (("drain", "--node", "--service", "n1"), 2, "not both"),
    (("drain", "tools:81"), 1, "it has 80"),
    (("drain", "tools/n4"), 1, "no instance on node n4"),
    (("drain", "tools/1.2.3.4:5"), 1, "has no instance 1.2.3.4:5"),
    (("drain", "127.0.0.1:80"), 1, "SERVICE/127.0.0.1:80"),
    (("drain", "n1", "--reason", "a\nb"), 1, "one line"),
    (("drain", "n1", "--reason", "x" * 300), 1, "at most 256"),
    (("undrain", "nn1"), 1, "did you mean n1?"),
    (("undrain", "n1", "--reason", "x"), 2, "--reason"),
    (("weight", "tools/n1"), 2, "PERCENT"),
    (("weight", "tools/n1", "1001"), 2, "0 to 1000"),
    (("weight", "tools/n1", "ten"), 2, "no percentage"),
    (("weight", "tools/n1", "0.5"), 2, "no percentage"),
    (("weight", "tools", "10"), 1, "one instance"),
    (("weight", "n1", "10"), 1, "one instance"),
])
def test_the_command_line_refuses(two, args, code, says):
    out, err = gossamer(two, *args, want=code)
    assert says in err and not out, (out, err)
    assert two.api("objects")[0] == []


@pytest.mark.parametrize("verb,body,says", [
    ("drain", b"", "GS0"),
    ("drain", b"[]", "target"),
    ("drain", b"{}", "must be there"),
    ("drain", b'{"target": 1}', "must be text"),
    ("drain", b'{"target": ""}', "must be text"),
    ("drain", b'{"target": ["n1"]}', "must be text"),
    ("drain", b'{"target": "n1", "as": "pod"}', "node or service"),
    ("drain", b'{"target": "n1", "namespace": "A"}', "no name of a namespace"),
    ("drain", b'{"target": "n1", "weight": 10}', "no such field"),
    ("undrain", b'{"target": "n1", "reason": "x"}', "no such field"),
    ("weight", b'{"target": "tools/n1"}', "0 to 1000"),
    ("weight", b'{"target": "tools/n1", "weight": "10"}', "0 to 1000"),
    ("weight", b'{"target": "tools/n1", "weight": -1}', "0 to 1000"),
    ("weight", b'{"target": "tools/n1", "weight": 1001}', "0 to 1000"),
    ("weight", b'{"target": "tools/n1", "weight": null}', "0 to 1000"),
])
def test_the_interface_refuses(two, verb, body, says):
    status, answer = two.admin_request("POST", "/api/v1/" + verb, body)
    assert status == 422 and says in answer.decode(), (status, answer)
    status, answer = two.admin_request("POST", f"/api/v1/{verb}?forse=1", b'{"target": "n1"}')
    assert status == 400 and b'\\"force\\"' in answer, answer
    assert two.admin_request("GET", "/api/v1/" + verb)[0] == 405
    assert two.admin_request("POST", "/api/v1/" + verb, body, tcp=True)[0] == 403
    assert two.api("objects")[0] == []


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A node with an instance, and another; nothing that is refused changes them."""
    from conftest import Bench
    bench = Bench(tmp_path_factory.mktemp("two"))
    o = Label("v1").start()
    m = Services(bench)
    m.host(tools={"v1": o})
    m.host("n4")
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"])
    yield m["n1"]
    bench.close()
    o.stop()

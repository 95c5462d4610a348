"""A change is applied at one node and confirmed by all.

    n1 ◀──gossip──▶ n2 ... n5     apply at any of them: it asks each of the others over the mesh
     └──▶ GET /api/v1/confirm ──▶   transport (4143) whether its workers run what was written
"""
import json
import re
import signal
import statistics
import threading
import time

import pytest
from lib import wire
from lib.client import Cut
from lib.lateness import late
from lib.mesh import note
from lib.node import cli, instance, service
from lib.offered import Offered
from lib.policy import destination_rule, get, shares, shown, stale, versions, virtual_service
from lib.services import Hammer, Services
from lib.settings import HEAVY, secs, until

CHANGES = 50
# Nothing here is about how long a connect may take; that of a link between two nodes takes longer than the
# usual second where the machine stands still within it.
TIMEOUTS = {"connect": "10s"}


def serving(bench, count, services=None):
    m = bench.mesh()
    for i in range(count):
        m.add(proxy=True, services=(services or {}).get(i, ()), timeouts=TIMEOUTS)
    m.wait_whole()
    return m


@pytest.fixture
def five(bench):
    return serving(bench, 5)


def apply(n, *objects, wait=None, timeout=30, **params):
    """(status, document) of POST /api/v1/apply."""
    wait = wait or f"{secs(10):.0f}s"
    query = "".join(f"&{k}={v}" for k, v in params.items())
    body = "\n---\n".join(json.dumps(o) for o in objects)
    status, answer = n.admin_request("POST",
                                     f"/api/v1/apply?namespace=default&wait={wait}{query}",
                                     body,
                                     timeout=timeout)
    return status, json.loads(answer)


def apply_cli(n, tmp_path, obj, *args):
    f = tmp_path / "change.yaml"
    f.write_text(json.dumps(obj))
    return cli("apply", "-f", str(f), "--socket", n.socket_path, *args, timeout=60)


# ---- everybody ----


def test_all_confirm(five, tmp_path):
    for i, n in enumerate(five.nodes):
        code, out, err = apply_cli(n, tmp_path, note("hello", f"from {n.name}"))
        assert code == 0, (out, err)
        assert out.splitlines()[-1].startswith("5/5 in "), out
        for other in five.nodes:
            assert five.text_of(other, "hello") == f"from {n.name}", "it was confirmed"
    code, out, err = cli("delete", "Note", "hello", "--socket", five["n3"].socket_path)
    assert code == 0 and out.splitlines()[-1].startswith("5/5 in "), (out, err)
    assert all(five.text_of(n, "hello") is None for n in five.nodes)


def test_many_objects_in_one_question(five):
    status, doc = apply(five["n2"], *[note(f"n{i}", "x") for i in range(256)])
    assert status == 200
    assert (doc["asked"], doc["confirmed"], doc["laggards"]) == (5, 5, []), doc["laggards"]
    status, doc = apply(five["n4"], *[note(f"n{i}", "x") for i in range(256)])
    assert (doc["asked"], doc["confirmed"]) == (5, 5), "unchanged is confirmed, too"


def test_a_node_without_proxy_is_not_asked(bench):
    m = serving(bench, 2)
    m.add()
    m.wait_whole()
    status, doc = apply(m["n1"], note("a", "b"))
    assert (doc["asked"], doc["confirmed"]) == (2, 2), doc
    status, doc = apply(m["n3"], note("a", "c"))
    assert (doc["asked"], doc["confirmed"]) == (1, 1), "it has no way to ask"


def test_nobody_is_asked_without_waiting(five):
    status, doc = apply(five["n1"], note("a", "b"), wait="0ms")
    assert doc["asked"] == 1


def test_what_waits_everywhere_is_confirmed(five):
    vs = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web"},
        "spec": {
            "hosts": ["web"],
            "http": [{"route": [{"destination": {"host": "web", "subset": "v1"}}]}],
        },
    }
    status, doc = apply(five["n1"], vs, wait="5s")
    assert doc["applied"][0]["state"] == "pending"
    assert (doc["asked"], doc["confirmed"]) == (5, 5), doc


def test_only_what_is_for_peers_is_answered(five):
    for path in ("/api/v1/confirm", "/api/v1/confirm?wait=1&list=", "/api/v1/confirm?list=AAAA&wait=1",
                 "/api/v1/confirm?wait=x&list=" + "A" * 31):
        assert five["n1"].admin_request("GET", path)[0] == 400
    assert five["n1"].admin_request("GET", "/api/v1/confirm", tcp=True)[0] == 403
    status, body = five["n1"].admin_request("GET", "/api/v1/confirm?wait=50&list=" + "A" * 32)
    assert status == 400, body


# ---- those who do not ----


def test_a_stopped_node_is_named(five, tmp_path):
    sleeper = five["n4"]

    def waited(text, *args):
        began = time.monotonic()
        sleeper.proc.send_signal(signal.SIGSTOP)
        try:
            code, out, err = apply_cli(five["n1"], tmp_path, note("a", text), *args)
        finally:
            sleeper.proc.send_signal(signal.SIGCONT)
        told = re.search(r"^4/5 in ([\d.]+) (m?s); n4: ", out, re.M)
        assert code == 4 and told and "n4" in err, (out, err)
        took = float(told[1]) / (1000 if told[2] == "ms" else 1)
        assert took >= 1.0 or not args, out
        took, start = took - late(began), time.monotonic()
        five.wait_note("a", text, 2)
        print("converged %.0f ms after SIGCONT" % ((time.monotonic() - start) * 1000))
        five.wait_whole()
        return took

    # One of three in time: who waits for longer than it was told to does so each time.
    assert any(waited(text, "--timeout", "1s") <= secs(1.05) for text in ("b", "c", "d"))
    waited("e")  # until it is dead


def test_a_member_killed_meanwhile_is_named(five):
    sleeper = five["n5"]
    sleeper.proc.send_signal(signal.SIGSTOP)
    got = []
    began = time.monotonic()
    t = threading.Thread(target=lambda: got.append(apply(five["n2"], note("a", "b"), wait="20s")))
    t.start()
    until("the others have it", lambda: all(
        five.text_of(n, "a") == "b" for n in five.nodes if n is not sleeper))
    sleeper.crash()
    until("it is answered", lambda: got, 25)
    status, doc = got[0]
    assert (doc["asked"], doc["confirmed"]) == (5, 4)
    assert [x["node"] for x in doc["laggards"]] == ["n5"]
    assert doc["ms"] < (secs(19) + late(began)) * 1000, "nobody waits for the dead"


def test_a_node_that_stops_says_so_or_is_named(five):
    """It is asked for what it will never get, and ends: nobody waits for it in vain."""
    got = []
    sleeper = five["n5"]
    sleeper.proc.send_signal(signal.SIGSTOP)
    t = threading.Thread(target=lambda: got.append(apply(five["n1"], note("a", "b"), wait="20s")))
    try:
        t.start()
        until("n1 has it", lambda: five.text_of(five["n1"], "a") == "b")
        five["n1"].term()
        until("it is answered", lambda: got, 10)
        assert got[0][1]["laggards"], got
    finally:
        sleeper.proc.send_signal(signal.SIGCONT)
    assert five["n1"].wait(20) == 0


# ---- versions ----


def test_if_version_at_another_node(five, tmp_path):
    first = apply(five["n1"], note("a", "1"))[1]["applied"][0]["version"]
    code, out, err = apply_cli(five["n3"], tmp_path, note("a", "2"), "--if-version", first)
    assert code == 0, (out, err)
    code, out, err = apply_cli(five["n5"], tmp_path, note("a", "3"), "--if-version", first)
    assert code == 5, (out, err)
    assert all(five.text_of(n, "a") == "2" for n in five.nodes)


def test_changes_from_everywhere_under_load(bench):
    o = bench.origin("echo")
    m = serving(bench, 5, {0: [service("echo", [o])]})
    for n in m.nodes[1:]:
        n.wait_states("echo", ["healthy"])
    stop, failed, served = threading.Event(), [], [0]

    def load(n):
        try:
            with n.conn() as c:
                while not stop.is_set():
                    r = c.ask()
                    served[0] += 1
                    if r.status != 200:
                        failed.append((n.name, r.status))
        except (OSError, Cut, wire.Bad) as e:
            failed.append((n.name, repr(e)))

    threads = [threading.Thread(target=load, args=(n, )) for n in m.nodes]
    for t in threads:
        t.start()
    took = []
    try:
        for i in range(CHANGES * (4 if HEAVY else 1)):
            began = time.monotonic()
            status, doc = apply(m.nodes[i % 5], note("n", str(i)))
            assert (status, doc["asked"], doc["confirmed"]) == (200, 5, 5), json.dumps(doc)
            took.append((doc["ms"], began, time.monotonic()))
    finally:
        stop.set()
        for t in threads:
            t.join()
    took = sorted(max(0, ms - late(began, ended) * 1000) for ms, began, ended in took)
    print("apply to all: p50 %.1f ms, p99 %.1f ms, max %.1f ms; %d requests" %
          (statistics.median(took), took[int(len(took) * 0.99) - 1], took[-1], served[0]))
    assert not failed and served[0] > 0
    assert statistics.median(took) <= secs(50)
    assert took[int(len(took) * 0.99) - 1] <= secs(500)


def test_nobody_waits_long_for_one_that_restarts(five):
    """It is named, and has the change before it serves anybody; back in time it confirms."""
    stopping = time.monotonic()
    five["n5"].stop()
    began = time.monotonic()
    status, doc = apply(five["n1"], note("away", "1"))
    assert (status, doc["asked"], doc["confirmed"]) == (200, 5, 4), json.dumps(doc)
    if time.monotonic() - stopping < 4.5:  # 5 s after its last word it counts as dead
        assert "is restarting" in doc["laggards"][0]["why"], doc
    assert time.monotonic() - began < secs(4) + late(began), "it was waited for until it was dead"
    five["n5"].start()
    five.wait_whole()
    assert "away" in [o["name"] for o in five["n5"].api("objects")[0]]
    status, doc = apply(five["n1"], note("away", "2"))
    assert (status, doc["asked"], doc["confirmed"]) == (200, 5, 5), doc


def test_each_answer_is_of_a_version_current_at_its_node(bench, labels, tell):
    """50 changes, made at one node after the other under load at all: once all have confirmed one,
    none of them answers by the rule before it."""
    rule = destination_rule(v1="v1", v2="v2")
    v1, v2 = ([versions({v: labels(v)})] for v in ("v1", "v2"))
    m = Services(bench)
    for i in range(5):
        m.host(services={0: v1, 1: v2}.get(i, []), timeouts=TIMEOUTS)
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    changes = [(0.0, time.monotonic())]
    assert apply(m["n1"], rule, virtual_service(v1=100, v2=0))[1]["confirmed"] == 5
    changes = [(0.0, time.monotonic())]
    with Offered(m.nodes, 1000, lambda i, r=get(): (i % 5, "GET", r)) as load:
        during = 0
        for k in range(1, CHANGES * (4 if HEAVY else 1) + 1):
            load.wait(50 + 2 * during)  # of most it is to be sure by which rule they are answered
            start, before = time.monotonic(), len(load.answers)
            status, doc = apply(m.nodes[k % 5], virtual_service(v1=100 * (k % 2 == 0), v2=100 * (k % 2)))
            changes.append((start, time.monotonic()))
            during = len(load.answers) - before
            assert (status, doc["asked"], doc["confirmed"]) == (200, 5, 5), json.dumps(doc)
    said, bad = load.books()
    tell(f"{len(changes) - 1} changes under {load.offered_enough():.0f} requests a second: {said}")
    assert not bad, str(bad)
    shares(load.answers)
    wrong, sure = stale(load.answers, changes, lambda k: "v2" if k % 2 else "v1")
    assert not wrong, (len(wrong), wrong[:3])
    assert len(shown(load.answers, changes)) > 0.75 * len(changes), "most of them were answered by"
    assert sure > len(load.answers) / 2, (sure, len(load.answers))  # else it has shown little


def test_alone_with_what_was_known(bench):
    o1, o2 = bench.origin("v1"), bench.origin("v2")
    m = serving(bench, 3, {0: [service("echo", [o1])], 1: [service("web", [o2])]})
    for n in m.nodes:
        n.wait_states("echo", ["healthy"])
    assert apply(m["n3"], note("kept", "yes"))[1]["confirmed"] == 3
    first = m["n1"]
    first.stop()
    for n in m.nodes[1:]:
        n.crash()
    first.start()
    assert m.text_of(first, "kept") == "yes"
    assert first.ask().status == 200


def test_alone_with_its_split(bench, labels, tell):
    """All peers are dead, and it starts again: its own instances are called in the shares that were
    known last, from the moment its port opens, and nothing that it knew is refused as unknown."""
    health = {"interval": "300ms"}
    tools = service("tools", [instance(labels(v), {"version": v}, health) for v in ("v1", "v2")])
    m = serving(bench, 3, {0: [tools], 1: [service("far", [bench.origin("far")], health=health)]})
    first = m["n1"]
    for n in m.nodes:
        n.wait_states("tools", ["healthy"] * 2)
        n.wait_states("far", ["healthy"])
    rule = destination_rule(v1="v1", v2="v2")
    assert apply(m["n3"], rule, virtual_service(v1=90, v2=10))[1]["confirmed"] == 3
    assert apply(m["n3"], note("kept", "yes"))[1]["confirmed"] == 3  # where this is saved, the split is
    known = first.api("objects")[0]
    saved = first.state_dir / "mesh.state"  # what others write is saved twice a second
    until("n1 has saved it", lambda: b"kept" in saved.read_bytes())
    for n in m.nodes:
        n.crash()
    with Hammer(first.outbound, threads=2) as own, Hammer(first.outbound, 1, "far") as far:
        first.spawn()
        until("it is ready", first.is_ready, 15)
        was = len(own.answers)
        until("requests after that", lambda: len(own.answers) > was + 2000 and far.answers, 30)
    got = own.counts()
    share = got[200, "v2"] / len(own.answers)
    tell(f"alone: {len(own.answers)} answers, v2 has {share * 100:.2f} %; of what the dead hosted: "
         f"{dict(far.counts())}")
    assert set(got) == {(200, "v1"), (200, "v2")}, got
    assert abs(share - 0.1) <= 0.01, got
    assert set(far.counts()) == {(503, "")}, "it is known, and nobody has it now"
    assert {(o["kind"], o["name"], o["version"], o["state"]) for o in first.api("objects")[0]
            } == {(o["kind"], o["name"], o["version"], o["state"]) for o in known}
    # It takes edits, and the others have them when they are back.
    status, doc = apply(first, note("kept", "alone"))
    assert (status, doc["asked"], doc["confirmed"]) == (200, 1, 1), doc
    for n in m.nodes[1:]:
        n.start()
    m.wait_note("kept", "alone")
    until("what they host is served", lambda: first.ask(host="far").status == 200, 10)


# ---- history ----


def history(n, name):
    status, body = n.admin_request("GET", f"/api/v1/objects/Note/default/{name}?history=1")
    return json.loads(body)["history"] if status == 200 else None


def test_history_and_rollback_at_another_node(five):
    for i in range(3):
        assert apply(five.nodes[i], note("a", str(i)))[0] == 200
    rows = history(five["n5"], "a")
    assert [(r["writer"], r["state"], r["conflict"]) for r in rows] == [
        ("n3", "current", False), ("n2", "former", False), ("n1", "former", False)]
    code, out, err = cli("get", "Note", "a", "--history", "--socket", five["n5"].socket_path)
    assert code == 0 and len(out.splitlines()) == 4 and "n3" in out, (out, err)
    code, out, err = cli("get", "Note", "a", "--version", rows[2]["version"], "-o", "json", "--socket",
                         five["n4"].socket_path)
    assert code == 0 and json.loads(out)["spec"]["text"] == "0", (out, err)
    code, out, err = cli("rollback", "Note", "a", "--socket", five["n5"].socket_path)
    assert code == 0 and out.splitlines()[-1].startswith("5/5 in "), (out, err)
    assert all(five.text_of(n, "a") == "1" for n in five.nodes)
    code, out, err = cli("rollback", "Note", "a", "--to", rows[2]["version"][:6], "--socket",
                         five["n4"].socket_path)
    assert code == 0, (out, err)
    assert all(five.text_of(n, "a") == "0" for n in five.nodes)
    code, out, err = cli("rollback", "Note", "a", "--if-version", rows[0]["version"], "--socket",
                         five["n1"].socket_path)
    assert code == 5, (out, err)


def test_rollback_brings_back_what_was_deleted(five):
    assert apply(five["n1"], note("a", "kept"))[0] == 200
    assert cli("delete", "Note", "a", "--socket", five["n2"].socket_path)[0] == 0
    code, out, err = cli("rollback", "Note", "a", "--socket", five["n3"].socket_path)
    assert code == 0, (out, err)
    assert all(five.text_of(n, "a") == "kept" for n in five.nodes)


def test_versions_that_are_not_there(five):
    n = five["n1"]
    assert apply(n, note("a", "1"))[0] == 200
    path = "/api/v1/objects/Note/default/"
    assert n.admin_request("GET", path + "b?history=1")[0] == 404
    assert n.admin_request("GET", path + "a?version=x")[0] == 400
    assert n.admin_request("GET", path + "a?version=9." + "0" * 16 + "." + "0" * 32)[0] == 404
    code, out, err = cli("rollback", "Note", "a", "--socket", n.socket_path)
    assert code == 1 and "no former version" in err
    assert cli("get", "Note", "--history", "--socket", n.socket_path)[0] == 2


def test_a_lost_write_is_listed_everywhere_and_settled(five):
    """n1 is away while n2 writes, and alone when it writes itself: neither has seen the other."""
    n1, n2 = five["n1"], five["n2"]
    first = apply(n1, note("a", "first"))[1]["applied"][0]["version"]
    n1.stop()
    assert apply(n2, note("a", "other side"), wait="1s", if_version=first)[0] == 200
    for n in five.nodes[1:]:
        n.proc.send_signal(signal.SIGSTOP)
    try:
        n1.start()
        assert apply(n1, note("a", "one side"), wait="0ms", if_version=first)[0] == 200
    finally:
        for n in five.nodes[1:]:
            n.proc.send_signal(signal.SIGCONT)

    def agreed():
        rows = [history(n, "a") for n in five.nodes]
        return all(r == rows[0] for r in rows) and [r["conflict"] for r in rows[0]].count(True) == 1

    until("all list the same loser", agreed, 5)
    five.wait_whole()
    assert len({five.text_of(n, "a") for n in five.nodes}) == 1
    for n in five.nodes:
        code, out, err = cli("analyze", "--socket", n.socket_path)
        assert "GS0210" in out + err, (out, err)
    code, out, err = cli("get", "Note", "a", "--socket", five["n3"].socket_path)
    assert code == 0 and "lost against another" in err, (out, err)
    lost = next(r["version"] for r in history(n1, "a") if r["conflict"])
    code, out, err = cli("rollback", "Note", "a", "--to", lost, "--socket", five["n4"].socket_path)
    assert code == 0, (out, err)
    for n in five.nodes:
        assert not any(r["conflict"] for r in history(n, "a")), "it is settled"
        assert "GS0210" not in "".join(cli("analyze", "--socket", n.socket_path)[1:])

"""SIGHUP: the file is read again; what may change while the node runs is taken over, all of it or
nothing.

    file, SIGHUP ─▶ n1 ═══▶ n2, n3: what they list of it
    users ─▶ n1, n3 ─▶ tools: instances on n1 that come and go, one on n2 that stays
"""
import contextlib
import copy
import json
import os
import random
import signal
import subprocess
import time

import pytest

from lib import client
from lib.client import request
from lib.lateness import late
from lib.node import cli, free_port, instance, service, yaml
from lib.policy import destination_rule, virtual_service
from lib.services import Services
from lib.settings import BIN, HOST, SEED, child_env, scaled, secs, until
from lib.users import Users, books

GARBAGE = scaled("GOSSAMER_GARBAGE", 100, 500)
RELOADS = scaled("GOSSAMER_RELOADS", 100, 300)
CHECK = {"interval": "300ms"}
ANNOUNCE_S = 2  # how long a reload waits for peers to route by it


def counts(n):
    return {s.labels["result"]: int(s.value) for s in n.metrics()["gossamer_config_reloads_total"]}


def last(n):
    return json.loads(n.admin_request("GET", "/api/v1/config")[1])["reload"]


def reload(n, text=None):
    """Write the configuration (or this), signal, and wait: what the node says of it."""
    was = sum(counts(n).values())
    settled = len(n.lines("config.settled"))
    n.config_path.write_text(yaml(n.config()) if text is None else text)
    n.proc.send_signal(signal.SIGHUP)
    until("it was read again", lambda: sum(counts(n).values()) == was + 1)
    r = last(n)
    if r["result"] == "applied" and n.leaves:
        until("what was to go is gone", lambda: len(n.lines("config.settled")) > settled)
    return r


def good(n, leaves=False):
    n.leaves = leaves
    r = reload(n)
    assert r["result"] == "applied" and r["errors"] == [], r
    return r


def rejected(n, text=None):
    """The only finding, or the list."""
    n.leaves = False
    was = counts(n)
    r = reload(n, text)
    assert r["result"] == "rejected" and r["errors"], r
    assert counts(n) == {**was, "rejected": was["rejected"] + 1}
    for e in r["errors"]:
        assert e["message"] and e["code"].startswith("GS"), e
    return r["errors"]


def line_of(n, text, nth=0):
    """1-based line of the file that holds this."""
    at = [i for i, l in enumerate(n.config_path.read_text().splitlines(), 1) if text in l]
    return at[nth]


def labelled(*origins):
    return [instance(o, {"version": o.name}, CHECK) for o in origins]


# ---- what may change -----------------------------------------------------------------------------


def test_services_and_instances_come_and_go(bench, labels, tell):
    m, v = Services(bench), [labels(f"v{i}") for i in range(4)]
    n1, n2 = m.host(), m.host(services=[service("tools", labelled(v[0], v[1]))])
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    n2.services[0]["instances"] = labelled(v[1], v[2])
    n2.services.append(service("other", labelled(v[3])))
    began = time.monotonic()
    good(n2, leaves=True)
    m.wait_endpoints("tools", {v[1].port: "healthy", v[2].port: "healthy"})
    m.wait_endpoints("other", {v[3].port: "healthy"})
    tell(f"known by all after {(time.monotonic() - began) * 1000:.0f} ms")
    assert n1.ask(host="other").body == b"v3"
    said = {m["name"]: m["services"] for m in n1.api("members")[0]}
    until("n1 knows that n2 has two", lambda: {
        m["name"]: m["services"] for m in n1.api("members")[0]}["n2"] == 2)
    assert said["n1"] == 0
    (told, ) = n2.lines("config.reloaded")
    assert (told["services"], told["added"], told["changed"], told["removed"]) == ("2", "1", "1", "0")
    del n2.services[0]
    good(n2, leaves=True)
    until("tools is gone for all", lambda: all(not m.rows(n, "tools") for n in m.nodes))
    until("requests for it are answered 404", lambda: n1.ask(host="tools").status == 404)
    assert n1.ask(host="other").body == b"v3"
    n2.services = []
    n2.extra["services"] = []
    good(n2, leaves=True)
    until("other is gone for all", lambda: all(not m.rows(n, "other") for n in m.nodes))
    n2.extra.pop("services")
    n2.services = [service("tools", labelled(v[0]))]
    good(n2)
    m.wait_endpoints("tools", {v[0].port: "healthy"})


def test_an_exchange_with_what_goes_ends_well(bench):
    """The instance is draining for a peer while its last request is answered, and gone later."""
    m, o, p = Services(bench), bench.origin("o"), bench.origin("p")
    n1 = m.host()
    n2 = m.host(services=[service("tools", [instance(x, health=CHECK) for x in (o, p)])])
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    held = []
    while not o.seen:
        held.append((n1.conn(), n2.conn())[len(held) % 2])
        held[-1].send(request(target="/hold/g", host="tools"))
        until("it has arrived", lambda: len(o.seen) + len(p.seen) == len(held))
    n2.services[0]["instances"] = [instance(p, health=CHECK)]
    good(n2, leaves=True)
    m.wait_endpoints("tools", {p.port: "healthy"})
    seen = len(o.seen)
    for n in (n1, n2):
        for _ in range(20):
            assert n.ask(host="tools", target="/id/x").body == b"x\n"
    assert len(o.seen) == seen
    for x in (o, p):
        x.open_gate("g")
    for c in held:
        assert c.answer().body == b"held"
        c.close()


def test_what_it_had_is_answered_before_it_is_gone(bench):
    """Whoever asked and by whatever way: the reload is over when there is nothing left to be cut, unless
    that takes too long. Then the application is ended, and nobody notices."""
    m, o, p = Services(bench), bench.origin("o"), bench.origin("p")
    n1, n3 = m.host(), m.host()
    n2 = m.host(services=[service("tools", [instance(x, health=CHECK) for x in (o, p)])], workers=2)
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    held = []
    while {"n1", "n2", "n3"} - {r.get("X-From") for r in o.seen}:
        n = (n1, n2, n3)[len(held) % 3]
        held.append(n.conn())
        held[-1].send(request("POST", "/hold/g", "tools", [("X-From", n.name)], body=b"x" * 100))
        until("it has arrived", lambda: len(o.seen) + len(p.seen) == len(held))
    n2.services[0]["instances"] = [instance(p, health=CHECK)]
    good(n2)
    until("it is draining for all, or gone", lambda: n2.lines("config.settled") or all(
        "draining" in [e["state"] for e in m.rows(n, "tools")] for n in m.nodes))
    for n in m.nodes:  # they route by it, and there is time for all that would be too early
        for _ in range(20):
            assert n.ask(host="tools", target="/id/x").body == b"x\n"
    early = n2.lines("config.settled")
    for x in (o, p):
        x.open_gate("g")
    until("what was to go is gone", lambda: n2.lines("config.settled"))
    (told, ) = n2.lines("config.settled")
    if int(told["ms"]) < ANNOUNCE_S * 1000:  # by its own clock; else it was right not to wait any longer
        assert not early, early
        assert told["asked"] == told["confirmed"] == "2" and told["unanswered"] == "0", told
        o.refuse()
    for c in held:
        assert c.answer("POST").body == b"held"
        c.close()


def test_one_that_never_passes_is_never_published(bench, labels):
    m, v = Services(bench), labels("v1")
    n1, n2 = m.host(), m.host(services=[service("tools", labelled(v))])
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"])
    dead = free_port()
    n2.services[0]["instances"].append(instance(dead, {"version": "v2"}, CHECK))
    good(n2)
    n2.wait_states("tools", ["healthy", "pending"])
    until("it was checked", lambda: n2.lines("instance.down", endpoint=f"{HOST}:{dead}"))
    assert {e["state"] for e in m.rows(n1, "tools")} == {"healthy"} and len(m.rows(n1, "tools")) == 1


def test_labels_change_under_requests(bench, labels):
    """Nobody is checked anew, and routes follow the labels."""
    m, a, b = Services(bench), labels("a"), labels("b")
    n1 = m.host()
    n2 = m.host(tools={"v1": a, "v2": b})
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    m.policy(n1, destination_rule(v1="v1", v2="v2"), virtual_service(v1=100, v2=0))
    assert n1.ask(host="tools").body == b"a"
    ups = len(n2.lines("instance.up"))
    with Users(n1.outbound, "tools", 2) as u:
        for i in range(20):
            u.wait(10)
            for x, label in zip(n2.services[0]["instances"], ("v2", "v1") if i % 2 == 0 else ("v1", "v2")):
                x["labels"]["version"] = label
            good(n2)
            want = b"b" if i % 2 == 0 else b"a"
            until("requests follow", lambda: n1.ask(host="tools").body == want)
    said, bad = books([u])
    assert not bad, (said, bad[:3])
    assert len(n2.lines("instance.up")) == ups and not n2.lines("instance.down")


def test_checks_change_and_verdicts_stay(bench):
    """Another path: healthy until it says otherwise, as often as it takes under the new settings."""
    n, o = bench.echo(health={"http": "/healthz", "interval": "200ms"})
    health = n.services[0]["instances"][0]["health"]
    ups = len(n.lines("instance.up"))
    for settings in ({"http": "/healthz", "interval": "100ms"}, {"tcp": True, "interval": "100ms"},
                     {"http": "/healthz", "interval": "100ms", "rise": 3, "timeout": "500ms"}):
        health.clear()
        health.update(settings)
        good(n)
        asked = o.health_asked
        if "http" in settings:
            until("it is asked", lambda: o.health_asked >= asked + 2)
        assert n.states("echo") == {f"{HOST}:{o.port}": "healthy"}
    assert len(n.lines("instance.up")) == ups and not n.lines("instance.down")
    health.clear()
    health.update({"http": "/status/503", "interval": "100ms", "fall": 4})
    good(n)
    n.wait_states("echo", ["unhealthy"])
    assert sum(m.target == "/status/503" for m in o.seen) >= 4
    health.update({"http": "/healthz", "fall": 1})
    good(n)
    n.wait_states("echo", ["healthy"])


def test_timeouts_change(bench):
    n, o = bench.echo(timeouts={"head": "30s", "response": "0", "drain": "60s"})

    def head_timeout():
        with n.conn() as c:
            c.send(b"GET / HTTP/1.1\r\nHost: ec")
            began = time.monotonic()
            return c.answer().status, began, time.monotonic() - began

    n.timeouts = {"head": "300ms", "response": "400ms", "drain": "500ms"}
    good(n)
    (told, ) = n.lines("config.reloaded")
    assert told["timeouts"] == "changed" and told["changed"] == "0"
    status, began, took = head_timeout()
    assert status == 408 and 0.2 <= took <= secs(2) + late(began)
    m = n.ask(target="/hang")
    assert m.status == 504
    with n.conn() as half:
        half.send(request(target="/half/never"))
        half.head()
        began = time.monotonic()
        n.term()
        assert n.wait(10) == 0
        took = time.monotonic() - began
        assert 0.4 <= took <= secs(3) + late(began)


def test_the_log_level_changes(bench):
    n, _ = bench.echo()
    n.extra["log"] = {"level": "error"}
    good(n)
    assert not n.lines("config.reloaded")  # it is no error
    n.extra["log"] = {"level": "debug", "format": "json"}
    good(n)
    assert n.admin_request("GET", "/api/v1/check")[1].count(b"log level is debug") == 1
    assert '"event":"config.reloaded"' in n.log().replace(" ", "")


# ---- what may not --------------------------------------------------------------------------------

REFUSED = [
    ("node", lambda c: c.update(node="other"), "node: other"),
    ("zone", lambda c: c.update(zone="eu-1a"), "zone: eu-1a"),
    ("namespace", lambda c: c.update(namespace="ai"), "namespace: ai"),
    ("state_dir", lambda c: c.update(state_dir="/tmp/elsewhere"), "state_dir:"),
    ("gossip.bind", lambda c: c["gossip"].update(bind=f"{HOST}:1"), "bind:"),
    ("gossip.join", lambda c: c["gossip"].update(join=[f"{HOST}:1"]), f"- {HOST}:1"),
    ("proxy.outbound", lambda c: c["proxy"].update(outbound=f"{HOST}:1"), "outbound:"),
    ("proxy.workers", lambda c: c["proxy"].update(workers=7), "workers: 7"),
    ("admin.socket", lambda c: c["admin"].update(socket="/tmp/x.sock"), "socket:"),
    ("services[0].outbound", lambda c: c["services"][0].update(outbound=f"{HOST}:4"), f"outbound: {HOST}:4"),
]


@pytest.mark.parametrize("field, change, text", REFUSED, ids=[r[0] for r in REFUSED])
def test_a_key_that_needs_a_restart_refuses_the_whole_file(bench, labels, field, change, text):
    v1, v2 = labels("v1"), labels("v2")
    n = bench.node([service("tools", labelled(v1))])
    c = copy.deepcopy(n.config())
    change(c)
    c["services"][0]["instances"].append(labelled(v2)[0])  # which would be fine
    (e, ) = rejected(n, yaml(c))
    assert (e["field"], e["code"]) == (field, "GS0022"), e
    assert "needs a restart" in e["message"] and "restart the node" in e["hint"], e
    assert (e["file"], e["line"]) == (str(n.config_path), line_of(n, text)), (e, n.config_path.read_text())
    (told, ) = n.lines("config.rejected")
    assert told["place"] == f"{n.config_path}:{e['line']}:{e['column']}" and told["field"] == field
    assert list(n.states("tools")) == [f"{HOST}:{v1.port}"]
    assert n.ask(host="tools").body == b"v1"
    if field == "zone":
        (line, ) = [x for x in json.loads(n.admin_request("GET", "/api/v1/check")[1])["check"]
                    if x["name"] == "reload"]
        assert line["result"] == "error" and told["place"] in line["message"], line
        code, out, _ = cli("check", "-c", str(n.config_path), "--socket", n.socket_path)
        assert code == 1 and told["place"] in out and "needs a restart" in out, out


def test_a_service_with_its_own_listener_neither_comes_nor_goes(bench, labels):
    v1 = labels("v1")
    own = f"{HOST}:{free_port()}"
    n = bench.node([service("tools", labelled(v1), outbound=own), service("other", labelled(v1))])
    c = copy.deepcopy(n.config())
    del c["services"][0]
    (e, ) = rejected(n, yaml(c))
    assert e["field"] == "services" and "tools.default has outbound" in e["message"], e
    c = copy.deepcopy(n.config())
    c["services"].append(service("third", labelled(v1), outbound=f"{HOST}:{free_port()}"))
    (e, ) = rejected(n, yaml(c))
    assert e["field"] == "services[2].outbound" and "third.default" in e["message"], e
    c = copy.deepcopy(n.config())
    c["services"].reverse()  # their order is nobody's business
    n.leaves = False
    assert reload(n, yaml(c))["result"] == "unchanged"


def test_a_file_that_is_no_file_any_more(bench, labels):
    n = bench.node([service("tools", labelled(labels("v1")))])
    path = n.config_path
    text = path.read_text()

    def refused(words):
        was = counts(n)["rejected"]
        n.proc.send_signal(signal.SIGHUP)
        until("it was rejected", lambda: counts(n)["rejected"] == was + 1)
        (e, ) = last(n)["errors"]
        assert words in e["message"] and e["file"] == str(path), e

    path.unlink()
    refused("cannot be read")
    os.mkfifo(path)
    refused("it is no file")
    path.unlink()
    path.mkdir()
    refused("it is no file")
    path.rmdir()
    path.write_text("")
    refused("has become empty")
    path.write_text("# services:\n---\n")
    refused("has become empty")
    path.write_text(text)
    n.leaves = False
    assert reload(n, text)["result"] == "unchanged"
    assert n.ask(host="tools").body == b"v1"


def garbage(rng, text):
    """Something that was meant to be this, or nothing of the kind."""
    kind = rng.randrange(9)
    lines = text.splitlines(True)
    at = rng.randrange(len(lines))
    if kind == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 4000)))
    if kind == 1:
        lines.insert(at, rng.choice(["\t- x\n", "}\n", "  bad: [1, 2\n", "a: &a [*a]\n", "? :\n", "%YAML 9\n"]))
    elif kind == 2:
        lines[at] = lines[at].replace(":", " ", 1)
    elif kind == 3:
        lines.insert(at, lines[at])
    elif kind == 4:
        lines[at] = lines[at].rstrip("\n")[:-1] + rng.choice(["\x00", "\x1b", "\u2028", "@", "'"]) + "\n"
    elif kind == 5:
        return text[:rng.randrange(1, len(text))].encode()
    elif kind == 6:
        return (text + rng.choice(["services: 5\n", "node: second\n", "unknown: 1\n", "---\nnode: b\n"])).encode()
    elif kind == 7:
        return text.replace("127.0.0.1", rng.choice(["127.0.0.300", "localhost", "", "::1"])).encode()
    else:
        data = bytearray(text.encode())
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    return "".join(lines).encode()


def is_refused(path):
    """What `gossamer check -c` and a start say of the file."""
    p = subprocess.run([BIN, "config", "show", "-c", str(path)], capture_output=True, timeout=secs(10),
                       env=child_env(), stdin=subprocess.DEVNULL)
    return p.returncode == 1


def test_garbage_changes_nothing(bench, labels, tell):
    """One wrong file after the other under load: each is named with its place, none takes effect."""
    m, v1, v2 = Services(bench), labels("v1"), labels("v2")
    n1, n2 = m.host(), m.host(services=[service("tools", labelled(v1, v2))])
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 2)
    print(f"seed {SEED}")
    rng, text = random.Random(SEED), n2.config_path.read_text()
    before = json.loads(n2.admin_request("GET", "/api/v1/config")[1])["config"]
    places, tried = 0, 0
    with Users(n1.outbound, "tools", 2) as far, Users(n2.outbound, "tools", 2) as near:
        while tried < GARBAGE:
            n2.config_path.write_bytes(garbage(rng, text))
            if not is_refused(n2.config_path):
                continue  # a wrong file that happens to be right
            tried += 1
            was = counts(n2)["rejected"]
            n2.proc.send_signal(signal.SIGHUP)
            until("it was rejected", lambda: counts(n2)["rejected"] == was + 1)
            r = last(n2)
            assert r["result"] == "rejected" and r["errors"], r
            assert all(e["message"] and e["file"] == str(n2.config_path) for e in r["errors"]), r
            places += "line" in r["errors"][0]
        for u in (far, near):
            u.wait(50)
    said, bad = books([far, near])
    tell(f"{GARBAGE} wrong files: {said}; {places} with a line, every one with a message")
    assert not bad, bad[:3]
    assert places >= GARBAGE * 0.9
    assert len(n2.lines("config.rejected")) == GARBAGE
    assert json.loads(n2.admin_request("GET", "/api/v1/config")[1])["config"] == before
    assert not n2.lines("config.reloaded") and not n2.lines("instance.down")
    n2.leaves = False
    assert reload(n2, text)["result"] == "unchanged"
    m.wait_endpoints("tools", ["healthy"] * 2)


# ---- under load ----------------------------------------------------------------------------------


def test_a_hundred_reloads_under_load(bench, labels, tell):
    """Instances of n1 come and go; those that have gone answer nobody any more. Nothing fails."""
    m = Services(bench)
    steady = labels("steady")
    n1, n2, n3 = m.host(), m.host(tools={"steady": steady}), m.host()
    print(f"seed {SEED}")
    rng, alive, number = random.Random(SEED), [], 0
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"])
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(Users(n.outbound, "tools", 3)) for n in (n1, n2, n3)]

        def asked(x):
            return any(x.name.encode() in u.bodies for u in users)

        for i in range(RELOADS):
            gone = [x for x in alive if rng.random() < 0.4]
            new = [labels(f"v{number + k}") for k in range(rng.randrange(3))]
            number += len(new)
            alive = [x for x in alive if x not in gone] + new
            n1.services = [service("tools", labelled(*alive))] if alive else []
            n1.extra = {} if alive else {"services": []}
            n1.leaves = bool(gone)
            assert reload(n1)["result"] == ("applied" if gone or new else "unchanged")
            for x in gone:
                x.stop()
            if i % 2:  # else they are gone again before they are known, as often as not
                for x in new:
                    until(f"{x.name} is asked", lambda: asked(x))
        m.wait_endpoints("tools", {steady.port: "healthy", **{x.port: "healthy" for x in alive}})
        for u in users:
            u.wait(100)
        for u in users:
            u.over = True
    said, bad = books(users)
    spread = set().union(*(u.bodies for u in users))
    tell(f"{RELOADS} reloads, {number} instances came, {number - len(alive)} went: {said}, "
         f"answered by {len(spread)}")
    assert not bad, bad[:5]
    # Two seconds are waited for a peer: only while the machine stood still they did not do.
    unsure = n1.lines("announce.not_confirmed")
    assert len(unsure) * ANNOUNCE_S / 2 <= late(began), unsure[:3]


def test_a_storm_of_signals(bench, labels):
    """They are one, or two; the last file is the one in effect."""
    n = bench.node([service("tools", labelled(labels("v0")))])
    v = [labels(f"v{i}") for i in range(1, 6)]
    for i in range(200):
        n.services = [service("tools", labelled(v[i % 5]))]
        n.config_path.write_text(yaml(n.config()))
        n.proc.send_signal(signal.SIGHUP)
    until("the last one is there", lambda: n.states("tools") == {f"{HOST}:{v[199 % 5].port}": "healthy"})
    assert n.ask(host="tools").body == v[199 % 5].name.encode()
    assert sum(counts(n).values()) <= 200


def test_a_stop_in_the_midst_of_a_reload(bench, labels):
    """What was to go has not gone yet, when the node itself goes: nobody notices."""
    m, v = Services(bench), [labels(f"v{i}") for i in range(3)]
    n1, n2, n3 = m.host(), m.host(services=[service("tools", labelled(v[0], v[1]))]), m.host(
        tools={"v2": v[2]})
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"] * 3)
    os.kill(n3.proc.pid, signal.SIGSTOP)  # so that the reload waits for it
    try:
        n2.services = [service("tools", labelled(v[1]))]
        n2.leaves = False
        began = time.monotonic()
        assert reload(n2)["result"] == "applied"
        n2.term()
        assert n2.wait(10) == 0
    finally:
        os.kill(n3.proc.pid, signal.SIGCONT)
    assert not n2.lines("config.settled") or late(began) > ANNOUNCE_S / 2
    n2.start(healthy=False)
    m.wait_endpoints("tools", {v[1].port: "healthy", v[2].port: "healthy"})
    for _ in range(20):
        assert n1.ask(host="tools").status == 200


def test_the_environment_still_overrides(bench, monkeypatch):
    o = bench.origin()
    n = bench.node([service("echo", [o])], timeouts={"response": "0"}, start=False)
    from lib import node as node_module
    env = {**child_env(), "GOSSAMER_TIMEOUTS_RESPONSE": "300ms"}
    monkeypatch.setattr(node_module, "child_env", lambda: env)
    n.start()
    assert n.ask(target="/hang").status == 504
    n.timeouts = {"response": "30s", "head": "5s"}
    good(n)
    began = time.monotonic()
    assert n.ask(target="/hang").status == 504
    assert time.monotonic() - began < secs(5) + late(began)
    (row, ) = [c for c in json.loads(n.admin_request("GET", "/api/v1/config")[1])["config"]
               if c["key"] == "timeouts.response"]
    assert row["origin"] == "GOSSAMER_TIMEOUTS_RESPONSE", row


def test_nothing_is_kept_of_former_files(bench, labels):
    """Two hundred reloads cost no memory and no descriptors."""
    n = bench.node([service("tools", labelled(labels("v0")))])
    v = [labels(f"v{i}") for i in range(1, 3)]

    def rounds(k):
        for i in range(k):
            n.services = [service(f"s{i % 3}", labelled(*v[:1 + i % 2])) for _ in range(1)]
            good(n, leaves=True)

    rounds(30)
    n.wait_states(n.services[0]["name"], ["healthy"] * len(n.services[0]["instances"]))
    fds, rss = n.fds(), n.rss_kib()
    rounds(200)
    n.wait_states(n.services[0]["name"], ["healthy"] * len(n.services[0]["instances"]))
    until("descriptors are as before", lambda: n.fds() <= fds + 2, 5)
    from lib.node import memory_counts
    if memory_counts():
        assert n.rss_kib() <= rss + 1024, (rss, n.rss_kib())

"""Cut off on purpose: `gossamer debug block`, and what a mesh makes of it.

    n1 (calls) ═╪═ n2 (hosts tools)      ╪ blocked at one end, at the other, at both
"""
import json
import re
import time

import pytest

from lib.h2 import Peer
from lib.mesh import Mesh, note
from lib.node import cli
from lib.services import Services
from lib.settings import until

ALLOW = ["--allow-faults"]
# Until one of two nodes has declared the other dead, at the most: 12 s of a suspicion that nobody can confirm, after
# some of probing; and as long again, since a node that stood still for a moment is careful afterwards.
DEAD_S = 40
BY_TCP_S = 10  # a turn to probe the other half, and its answer that does not come: 2 s, and five times that
PROBES = 6  # rounds of probing that a node goes through while its datagrams are dropped


def debug(n, *args, want=0):
    """The document that `gossamer debug ... -o json` prints."""
    code, out, err = cli("debug", *args, "--socket", n.socket_path, "-o", "json")
    assert code == want, (args, code, out, err)
    return json.loads(out)


def blocked(n):
    return {b["node"]: b["what"] for b in debug(n, "blocks")["blocks"]}


def write(n, name, text):
    """A note, without waiting for who cannot confirm it."""
    status, body = n.admin_request("POST", "/api/v1/apply?namespace=default&wait=0", json.dumps(note(name, text)))
    assert status == 200, body


def figure(n, name, **labels):
    return sum(s.value for s in n.metrics()[name] if all(s.labels.get(k) == v for k, v in labels.items()))


@pytest.fixture
def pair(bench):
    m = Services(bench)
    m.host(args=ALLOW)
    m.host(tools={"v1": bench.origin("o")}, args=ALLOW)
    m.wait_whole()
    m.wait_endpoints("tools", ["healthy"])
    return m, m["n1"], m["n2"]


def answers(n):
    r = n.ask(host="tools", target="/")
    return r.status, r.get("Proxy-Status") or ""


# ---- who may -------------------------------------------------------------------------------------

def test_refused_unless_it_was_started_so(bench):
    m = bench.mesh(2)
    n1 = m["n1"]
    for args in (["block", "n2"], ["unblock", "n2"], ["unblock", "--all"]):
        error = debug(n1, *args, want=1)["errors"][0]
        assert "n1 was not started with --allow-faults" in error["message"], error
        assert "gossamer run --allow-faults" in error["hint"], error
    assert debug(n1, "blocks") == {"blocks": [], "allowed": False, "missing": []}
    assert not n1.lines("faults.allowed")
    code, out, err = cli("debug", "block", "n2", "--socket", n1.socket_path)
    assert code == 1 and out == "" and "--allow-faults" in err and "hint: " in err


def test_the_unix_socket_alone(pair):
    """Neither the TCP port nor another node may ask for it, or see it."""
    _, n1, _ = pair
    assert n1.lines("faults.allowed", node="n1")
    for method, path in (("POST", "block?node=n2"), ("POST", "unblock?all=true"), ("GET", "blocks")):
        assert n1.admin_request(method, "/api/v1/debug/" + path, tcp=True)[0] == 403
        assert n1.admin_request(method, "/api/v1/debug/" + path, headers={"Origin": "http://x"})[0] == 403
    with Peer(n1.inbound) as p:
        s = p.open([(":method", "GET"), (":scheme", "http"), (":authority", "node.gossamer.internal"),
                    (":path", "/api/v1/debug/blocks")], end=True)
        assert p.status(s) == 403, p.streams[s]
    assert blocked(n1) == {}


def test_names(pair):
    _, n1, _ = pair
    for args, code, said in ((["block", "n22"], 1, "did you mean n2?"), (["block", "zebra"], 1, "gossamer members"),
                             (["block", "n1"], 1, "the node that was asked"), (["unblock", "n2"], 1, "is not blocked"),
                             (["block"], 2, "missing"), (["unblock"], 2, "missing"),
                             (["unblock", "n2", "--all"], 2, "--all"), (["blok", "n2"], 2, "did you mean")):
        got, out, err = cli("debug", *args, "--socket", n1.socket_path)
        assert got == code and out == "" and said in err, (args, got, err)
    assert n1.admin_request("POST", "/api/v1/debug/block?node=n2&udponly=1")[0] == 400
    assert n1.admin_request("POST", "/api/v1/debug/block?node=n2&udp_only=maybe")[0] == 400
    assert n1.admin_request("POST", "/api/v1/debug/block")[0] == 400
    assert blocked(n1) == {}
    row, = debug(n1, "block", "n2")["blocks"]
    assert row["node"] == "n2" and row["what"] == "all"
    assert debug(n1, "block", row["id"], "--udp-only")["blocks"] == [{**row, "what": "udp", "since": pytest.approx(row["since"], abs=60)}]
    code, out, err = cli("debug", "blocks", "--socket", n1.socket_path)
    assert code == 0 and out.split()[:5] == ["NODE", "WHAT", "SINCE", "n2", "udp"], out
    assert debug(n1, "unblock", row["id"])["blocks"] == []
    code, out, err = cli("debug", "blocks", "--socket", n1.socket_path)
    assert code == 0 and out == "" and "no node is blocked" in err


# ---- the log -------------------------------------------------------------------------------------

def test_the_log_level(bench):
    """Changed while it runs, taken back by itself, told in the log and by check."""
    n = bench.node()
    assert debug(n, "log") == {"log": [{"level": "info", "configured": "info", "left_s": None}], "missing": []}
    said = len(n.log())
    assert debug(n, "log", "error")["log"][0] == {"level": "error", "configured": "info", "left_s": None}
    assert n.lines("log.level", level="error", was="info"), "whoever reads the log is told why it is silent"
    said = len(n.log())
    assert cli("debug", "block", "x", "--socket", n.socket_path)[0] == 1
    code, out, _ = cli("check", "-c", str(n.config_path), "--ascii")
    assert code == 0 and "[!!] the log level is error, not info" in out and "hint: gossamer debug log --reset" in out
    row, = debug(n, "log", "debug", "--for", "600ms")["log"]
    assert row["level"] == "debug" and 0 < row["left_s"] <= 0.6
    until("it is as configured again", lambda: debug(n, "log")["log"][0]["level"] == "info", 10)
    assert [(x["level"], x["was"]) for x in n.lines("log.level")] == [("error", "info"), ("debug", "error"), ("info", "debug")]
    began = time.monotonic()
    debug(n, "log", "debug", "--for", "10m")
    code, out, err = cli("debug", "log", "--socket", n.socket_path)
    told = re.fullmatch(r"the log level is debug for (\d+) s more, then info\n", out)
    assert code == 0 and told and 599 - (time.monotonic() - began) <= int(told[1]) <= 600, out
    assert debug(n, "log", "--reset")["log"][0] == {"level": "info", "configured": "info", "left_s": None}
    debug(n, "log", "warn")
    n.stop()
    n.start()
    assert debug(n, "log")["log"][0]["level"] == "info"
    debug(n, "log", "debug", "--for", "10m")  # and stops with the timer armed


def test_log_levels_that_are_none(bench):
    n = bench.node(proxy=False)
    for args, code, said in ((["dbug"], 1, 'did you mean "debug"'), (["debug", "--for", "soon"], 1, "for: "),
                             (["debug", "--for", "25h"], 1, "for: "), (["--for", "1s"], 2, "which level?"),
                             (["debug", "--reset"], 2, "--reset"), (["a", "b"], 2, "one word too many")):
        got, out, err = cli("debug", "log", *args, "--socket", n.socket_path)
        assert got == code and out == "" and said in err, (args, got, err)
    for query in ("", "?level=debug&reset=true", "?for=1s", "?level=debug&until=1"):
        assert n.admin_request("POST", "/api/v1/debug/log" + query)[0] == 400, query
    assert n.admin_request("GET", "/api/v1/debug/log", tcp=True)[0] == 403
    assert debug(n, "log")["log"][0]["level"] == "info"


# ---- what it does --------------------------------------------------------------------------------

def test_datagrams_alone(pair):
    """Without datagrams each is kept alive by TCP, requests pass, and what is applied on one is on the other."""
    m, n1, n2 = pair
    for n, other in ((n1, "n2"), (n2, "n1")):
        debug(n, "block", other, "--udp-only")
        assert blocked(n) == {other: "udp"}
    before = {n: figure(n, "gossamer_gossip_probes_total") for n in (n1, n2)}

    def probed():
        for n, other in ((n1, "n2"), (n2, "n1")):
            assert m.states(n)[other] == "alive"
        return all(figure(n, "gossamer_gossip_probes_total") >= before[n] + PROBES for n in (n1, n2))

    until("probes by TCP", probed, 30)
    for n in (n1, n2):
        assert figure(n, "gossamer_gossip_dropped_total", what="fault") >= PROBES
        assert figure(n, "gossamer_gossip_suspicions_total") == 0
    assert answers(n1)[0] == 200
    write(n1, "missed", "hello")
    m.wait_note("missed", "hello", BY_TCP_S)
    assert blocked(n1) and blocked(n2)


@pytest.mark.parametrize("count", [2, 5])
def test_policy_passes_without_datagrams(bench, count):
    """Two halves that reach each other by TCP alone, and stay so: what is applied on either is on all.

        n1 n3 n5 ═tcp═ n2 n4      no datagram passes
    """
    m = Mesh(bench)
    for _ in range(count):
        m.add(args=ALLOW)
    m.wait_whole()
    halves = m.nodes[::2], m.nodes[1::2]
    for i in (0, 1):
        for n in halves[i]:
            for other in halves[1 - i]:
                debug(n, "block", other.name, "--udp-only")
    for turn in range(3):
        for n in m.nodes[:2]:
            write(n, f"by-{n.name}", f"turn {turn}")
            m.wait_note(f"by-{n.name}", f"turn {turn}", BY_TCP_S)
    for n in m.nodes:
        assert set(blocked(n).values()) == {"udp"}
        assert figure(n, "gossamer_gossip_dropped_total", what="fault") > 0
    m.wait_whole()


def test_both_ends_are_a_partition(pair):
    """Each takes the other for dead, neither answers the other; each takes changes, and when it is
    over both have both."""
    m, n1, n2 = pair
    assert answers(n1)[0] == 200
    debug(n1, "block", "n2")
    debug(n2, "block", "n1")
    status, said = answers(n1)
    assert status == 503 and "connection_refused" in said, (status, said)
    write(n1, "left", "one")
    write(n2, "right", "two")
    m.wait_state("n2", "dead", DEAD_S)
    m.wait_state("n1", "dead", DEAD_S)
    assert m.text_of(n2, "left") is None and m.text_of(n1, "right") is None
    assert answers(n1)[0] == 503 and n2.ask(host="tools", target="/").status == 200
    debug(n1, "unblock", "n2")
    debug(n2, "unblock", "--all")
    m.wait_whole()
    m.wait_note("left", "one")
    m.wait_note("right", "two")
    m.wait_endpoints("tools", ["healthy"])
    until("it answers again", lambda: answers(n1)[0] == 200)


@pytest.mark.parametrize("end", ["n1", "n2"])
def test_one_end_is_enough_for_requests(pair, end):
    """Whichever end blocks: what is open is cut, nothing new is let through, and then it is again."""
    m, n1, n2 = pair
    other = "n2" if end == "n1" else "n1"
    o = m.bench.origins[0]
    with n1.conn() as held:
        held.send(b"GET /hold/g HTTP/1.1\r\nHost: tools\r\n\r\n")
        until("it has arrived", lambda: any("/hold/g" in str(r) for r in o.seen))
        debug(m[end], "block", other)
        r = held.answer()  # a GET that was cut is tried once more, in vain
        assert r.status == 503, r
    o.open_gate("g")
    for _ in range(5):
        assert answers(n1)[0] == 503
    seen = len(o.seen)
    assert answers(n1)[0] == 503 and len(o.seen) == seen
    if end == "n2":
        assert n2.refused()["mux_cut"] > 0
    debug(m[end], "unblock", other)
    until("it answers again", lambda: answers(n1)[0] == 200, 10)


def test_a_restart_forgets(pair):
    m, n1, _ = pair
    debug(n1, "block", "n2")
    n1.stop()
    n1.start(healthy=False)
    assert blocked(n1) == {}
    m.wait_whole()
